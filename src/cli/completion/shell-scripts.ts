/**
 * What a shell runs when it starts. Each calls `mayfly __complete -- <words up to the cursor>`, which answers a line for each candidate,
 * its description after a tab, and last a line `:file`, `:directory` or `:`, for what the shell itself knows better.
 */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

export const SHELL_SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `# bash completion of mayfly: source <(mayfly completion bash)
_mayfly() {
  local current before line directive="" i
  local -a words=()
  # bash takes a word apart at colons, which agents' names are full of: the line is read anew.
  read -r -a words <<<"\${COMP_LINE:0:COMP_POINT}"
  [[ "\${COMP_LINE:0:COMP_POINT}" == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]} - 1]}"
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :*) directive="$line" ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  case "$directive" in
    :file) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current") ;;
    :directory) while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "$current") ;;
  esac
  # And only the rest after the last of those is replaced.
  before="\${current%"\${current##*[:=]}"}"
  for i in "\${!COMPREPLY[@]}"; do COMPREPLY[i]="\${COMPREPLY[i]#"$before"}"; done
}
complete -o nosort -F _mayfly mayfly
`,
  zsh: `#compdef mayfly
# zsh completion of mayfly: source <(mayfly completion zsh), after compinit; or as the file _mayfly in a folder of $fpath
_mayfly() {
  local line directive
  local -a candidates
  for line in "\${(@f)$("\${words[1]}" __complete -- "\${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :*) directive=$line ;;
      ?*) candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done
  (( \${#candidates} )) && _describe -V -t mayfly mayfly candidates
  case $directive in
    :file) _files ;;
    :directory) _files -/ ;;
  esac
}
if [[ \${funcstack[1]} == _mayfly ]]; then _mayfly "$@"; else compdef _mayfly mayfly; fi
`,
  fish: `# fish completion of mayfly: mayfly completion fish | source
function __mayfly_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path "$current"
            case ':directory'
                __fish_complete_directories "$current"
            case ':'
            case '*'
                echo $line
        end
    end
end
complete -c mayfly -f -k -a '(__mayfly_complete)'
`,
};
