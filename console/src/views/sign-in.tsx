import { useEffect, useRef, useState } from 'preact/hooks';
import { signIn } from '../api/client';
import { Flame } from '../ui/icons';

/** Asks for the admin token. It stays in this tab. */
export function SignIn({ reason }: { reason: string }) {
  const [value, setValue] = useState('');
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    document.title = 'Sign in · Flambeau';
    input.current?.focus();
  }, []);
  return (
    <main class="sign-in">
      <form
        class="panel"
        onSubmit={(event) => {
          event.preventDefault();
          if (value.trim()) signIn(value.trim());
        }}
      >
        <h1>
          <Flame />
          Flambeau
        </h1>
        <p class="muted">This node asks for its admin token: the one that its configuration names under [admin].</p>
        <label class="field">
          <span>Token</span>
          <input
            ref={input}
            type="password"
            autocomplete="current-password"
            aria-invalid={reason ? 'true' : undefined}
            aria-describedby={reason ? 'sign-in-reason' : undefined}
            value={value}
            onInput={(event) => setValue(event.currentTarget.value)}
          />
        </label>
        <p id="sign-in-reason" class="refusal" role="alert">
          {reason}
        </p>
        <button type="submit" class="primary" disabled={!value.trim()}>
          Sign in
        </button>
      </form>
    </main>
  );
}
