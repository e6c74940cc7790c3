// Every key of the page, and the switch that turns single keys off.
import { useDashboard } from '../dashboard.ts';
import { GO } from '../keyboard.ts';
import { Dialog, DialogButtons } from '../parts/dialog.tsx';

const KEYS: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ['Anywhere', [['?', 'this help'], ['/', 'to the first filter'], ['t', 'colours: system, light, dark'], ...Object.entries(GO).map(([key, view]) => [`g ${key}`, `to ${view}`] as const)]],
  [
    'Among leases',
    [
      ['↑ ↓, j k', 'one lease up or down'],
      ['Page Up, Page Down', 'ten up or down'],
      ['Home, End', 'to the first, to the last'],
      ['Space', 'select it'],
      ['Shift ↑ ↓', 'select on the way'],
      ['Enter', 'its task'],
      ['r', 'revoke it, or what is selected'],
      ['y', 'try again what is stuck'],
      ['Escape', 'select nothing'],
    ],
  ],
];

export function HelpDialog({ onClose }: { readonly onClose: () => void }) {
  const { keys } = useDashboard().preferences;
  return (
    <Dialog name="help" title="Keys" onClose={onClose} onSubmit={onClose} calm>
      {KEYS.map(([where, list]) => (
        <section key={where}>
          <h3>{where}</h3>
          <dl class="keys">
            {list.map(([key, what]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <label class="choice">
        <input type="checkbox" checked={keys.value} onChange={(event) => (keys.value = event.currentTarget.checked)} /> single keys act
      </label>
      <DialogButtons act="Close" />
    </Dialog>
  );
}
