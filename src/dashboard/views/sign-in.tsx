// Nobody is signed in: with the identity provider where there is one, else with a token.
import { useEffect, useRef } from 'preact/hooks';
import { useDashboard } from '../dashboard.ts';
import { Problem } from '../parts/dialog.tsx';

export function SignIn({ why, canSignIn }: { readonly why: string; readonly canSignIn: boolean }) {
  const { signInWithProvider } = useDashboard();
  return (
    <section class="card sign-in" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">Sign in</h2>
      <Problem text={why} />
      {canSignIn && (
        <>
          <button type="button" class="main-button" onClick={signInWithProvider}>
            Sign in with your identity provider
          </button>
          <details>
            <summary>Use a token instead</summary>
            <TokenForm focus={false} />
          </details>
        </>
      )}
      {!canSignIn && <TokenForm focus />}
    </section>
  );
}

function TokenForm({ focus }: { readonly focus: boolean }) {
  const { signInWithToken } = useDashboard();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) field.current?.focus();
  }, []);
  // No name on the field and no action: nothing of it can end in a URL.
  return (
    <form
      autocomplete="off"
      onSubmit={(event) => {
        event.preventDefault();
        const token = field.current?.value.trim() ?? '';
        if (field.current !== null) field.current.value = '';
        if (token !== '') void signInWithToken(token);
      }}
    >
      <label for="token">Operator token</label>
      <div class="together">
        <input id="token" ref={field} type="password" autocomplete="off" spellcheck={false} autocapitalize="off" required />
        <button type="submit" class="main-button">
          Sign in
        </button>
      </div>
      <p class="small">
        It stays in this tab and goes to this broker alone, in a header. With <code>npm start</code> it is in the file that was printed beside this page’s address.
      </p>
    </form>
  );
}
