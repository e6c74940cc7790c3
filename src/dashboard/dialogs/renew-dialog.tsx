// Another token before this one ends: one goes on where one is.
import { useRef } from 'preact/hooks';
import { useDashboard } from '../dashboard.ts';
import { Dialog, DialogButtons } from '../parts/dialog.tsx';

export function RenewDialog({ onClose }: { readonly onClose: () => void }) {
  const { signInWithToken } = useDashboard();
  const field = useRef<HTMLInputElement>(null);
  return (
    <Dialog
      name="renew"
      title="Use a new token"
      onClose={onClose}
      onSubmit={() => {
        const token = field.current?.value.trim() ?? '';
        if (token === '') return;
        onClose();
        void signInWithToken(token);
      }}
    >
      <div class="field">
        <label for="new-token">Operator token</label>
        <input id="new-token" ref={field} type="password" autocomplete="off" spellcheck={false} required />
      </div>
      <DialogButtons act="Sign in" onCancel={onClose} />
    </Dialog>
  );
}
