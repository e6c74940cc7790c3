// The kill switch: nothing new for what is named, and, where that is asked, an end of what is live.
import { useEffect, useState } from 'preact/hooks';
import type { Lock } from '../answers.ts';
import { saidOf, type Selector } from '../broker.ts';
import { useDashboard, useSession } from '../dashboard.ts';
import { Dialog, DialogButtons, Problem, ReasonField, TypedField } from '../parts/dialog.tsx';
import { counted, readable } from '../words.ts';
import { MANY } from './revocation-plan.ts';
import { RevocationResults } from './revocation-results.tsx';

const WORDS = ['agent', 'credential', 'provider', 'purpose', 'task', 'all'] as const;
const FOR = [
  [900, '15 minutes'],
  [3_600, '1 hour'],
  [28_800, '8 hours'],
  [86_400, '1 day'],
  [604_800, '1 week'],
] as const;

export function LockDialog({ word: firstWord = 'agent', value: firstValue = '', onClose }: { readonly word?: string | undefined; readonly value?: string | undefined; readonly onClose: () => void }) {
  const { clock, said } = useDashboard();
  const session = useSession();
  const [word, setWord] = useState(firstWord);
  const [value, setValue] = useState(firstValue);
  const [reason, setReason] = useState('');
  const [lastsSeconds, setLasts] = useState(3_600);
  const [revoke, setRevoke] = useState(false);
  const [typed, setTyped] = useState('');
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);
  const [revocation, setRevocation] = useState<string | null>(null);
  const selector: Selector | null = word === 'all' ? { all: true } : value.trim() === '' ? null : { [word]: value.trim() };
  const live = useLive(selector);
  const toType = word === 'all' ? 'all' : revoke && typeof live === 'number' && live > MANY ? String(live) : null;

  async function send(): Promise<void> {
    if (sending) return;
    if (selector === null) {
      setProblem(`Say which ${word}.`);
      return;
    }
    if (reason.trim() === '') {
      setProblem('Say why: it goes on the record.');
      return;
    }
    if (toType !== null && typed.trim() !== toType) {
      setProblem(`Type ${toType} to confirm.`);
      return;
    }
    setSending(true);
    setProblem('');
    try {
      const placed = await session.broker.lock({ selector, reason: reason.trim(), until: new Date(clock.now() + lastsSeconds * 1000).toISOString(), revoke });
      session.locks.expire();
      said.value = 'Locked: nothing new is granted for it.';
      if (placed.revocation === null) onClose();
      else setRevocation(placed.revocation.id);
    } catch (error) {
      setProblem(saidOf(error));
      setSending(false);
    }
  }

  if (revocation !== null) {
    return (
      <Dialog key="results" name="lock" title="Locked" onClose={onClose} onSubmit={onClose} calm>
        <p>Nothing new is granted for it. What was live:</p>
        <RevocationResults ids={[revocation]} />
        <DialogButtons act="Close" />
      </Dialog>
    );
  }
  return (
    <Dialog name="lock" title="Lock" onClose={onClose} onSubmit={() => void send()}>
      <p class="small">Refuses whatever is new for it, from the moment it is answered until its time is up.</p>
      <div class="fields">
        <div class="field">
          <label for="lock-word">Lock</label>
          <select id="lock-word" value={word} onChange={(event) => setWord(event.currentTarget.value)}>
            {WORDS.map((one) => (
              <option key={one} value={one}>
                {one === 'all' ? 'everything' : one}
              </option>
            ))}
          </select>
        </div>
        {word !== 'all' && (
          <div class="field grows">
            <label for="lock-value">Which {word}</label>
            <input id="lock-value" value={value} onInput={(event) => setValue(event.currentTarget.value)} spellcheck={false} autocapitalize="off" />
          </div>
        )}
        <div class="field">
          <label for="lock-lasts">For</label>
          <select id="lock-lasts" value={String(lastsSeconds)} onChange={(event) => setLasts(Number(event.currentTarget.value))}>
            {FOR.map(([seconds, words]) => (
              <option key={seconds} value={String(seconds)}>
                {words}
              </option>
            ))}
          </select>
        </div>
      </div>
      <label class="choice">
        <input type="checkbox" checked={revoke} onChange={(event) => setRevoke(event.currentTarget.checked)} /> also end what is live
      </label>
      <p class="would-end" role="status" data-would-end={typeof live === 'number' ? live : ''}>
        {selector === null ? '' : live === null ? 'Counting…' : typeof live === 'string' ? live : `${counted(live, 'live lease')} ${live === 1 ? 'matches' : 'match'}${revoke ? ' and will end.' : '; they live on.'}`}
      </p>
      <ReasonField label="Reason, for the record" value={reason} onInput={setReason} required />
      {toType !== null && <TypedField toType={toType} value={typed} onInput={setTyped} />}
      <Problem text={problem} />
      <DialogButtons act="Lock now" isDanger isDisabled={sending} onCancel={onClose} />
    </Dialog>
  );
}

/** Whoever types is asked about once they pause. */
const PAUSE_MS = 300;

/** How many live leases a selector matches now. */
function useLive(selector: Selector | null): number | string | null {
  const { broker } = useSession();
  const [live, set] = useState<number | string | null>(null);
  const key = JSON.stringify(selector);
  useEffect(() => {
    set(null);
    if (selector === null) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      broker.countLive(selector).then(
        ({ progress }) => !isOver && set(progress.total),
        (error: unknown) => !isOver && set(saidOf(error)),
      );
    }, PAUSE_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [key]);
  return live;
}

export function LiftLockDialog({ lock, onClose }: { readonly lock: Lock; readonly onClose: () => void }) {
  const { said } = useDashboard();
  const { broker, locks } = useSession();
  const [problem, setProblem] = useState('');
  const [sending, setSending] = useState(false);

  async function lift(): Promise<void> {
    if (sending) return;
    setSending(true);
    try {
      await broker.lift(lock.id);
      locks.expire();
      said.value = 'The lock is lifted.';
      onClose();
    } catch (error) {
      setProblem(saidOf(error));
      setSending(false);
    }
  }

  return (
    <Dialog name="lift" title="Lift this lock?" onClose={onClose} onSubmit={() => void lift()} calm>
      <p>{selectorWords(lock.selector)}</p>
      <p class="warning">What it refused can be granted again at once.</p>
      <Problem text={problem} />
      <DialogButtons act="Lift now" isDanger isDisabled={sending} onCancel={onClose} />
    </Dialog>
  );
}

/** `agent agent:refunds, purpose data-export`. */
export const selectorWords = (selector: Readonly<Record<string, unknown>>): string =>
  readable(
    Object.entries(selector)
      .map(([word, value]) => (value === true ? 'everything' : `${word.replace('_', ' ')} ${typeof value === 'string' ? value : JSON.stringify(value)}`))
      .join(', '),
  );
