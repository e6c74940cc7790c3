// Nothing is live: how to make the first lease, or how to see more.
import { useState } from 'preact/hooks';

const FIRST = 'npx mayfly request --purpose refund-investigation --action read --credential orders-db';

export function EmptyLeases({ isFiltered }: { readonly isFiltered: boolean }) {
  const [copied, setCopied] = useState(false);
  if (isFiltered) return <p class="card empty">No live lease matches.</p>;
  return (
    <div class="card empty">
      <h3>No live leases</h3>
      <p>Nothing holds a credential now. Make the first lease:</p>
      <pre tabIndex={0}>
        <code>{FIRST}</code>
      </pre>
      <button type="button" class="quiet" onClick={() => void navigator.clipboard.writeText(FIRST).then(() => setCopied(true))}>
        {copied ? 'Copied' : 'Copy'}
      </button>
    </div>
  );
}
