// Holds a dashboard to Grafana's own schema, as its Foundation SDK has it: prints what is missing, unknown or of a wrong kind.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var board dashboard.Dashboard
	// Without a fault it is an error all the same, of no text.
	if err := board.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		fmt.Println(err)
	}
	if err := board.Validate(); err != nil && err.Error() != "" {
		fmt.Println(err)
	}
}
