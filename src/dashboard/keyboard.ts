// Keys that work anywhere on the page. None of them acts while somebody types, or a dialog is open.
import { useEffect } from 'preact/hooks';
import { useDashboard } from './dashboard.ts';
import { THEMES } from './preferences.ts';
import { hashOf, type ViewName } from './place.ts';

/** After `g`. */
export const GO: Readonly<Record<string, ViewName>> = { o: 'overview', l: 'leases', p: 'approvals', k: 'locks', a: 'agents', d: 'denials', u: 'audit' };

/** A second key belongs to a `g` for this long. */
const CHORD_MS = 1_500;

export function usePageKeys(): void {
  const { router, dialog, preferences, signed } = useDashboard();
  useEffect(() => {
    let wentMs = -Infinity;
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || dialog.peek() !== null || !preferences.keys.peek() || signed.peek().is !== 'in') return;
      const view = performance.now() - wentMs < CHORD_MS ? GO[event.key] : undefined;
      wentMs = event.key === 'g' ? performance.now() : -Infinity;
      if (view !== undefined) router.go(hashOf(view));
      else if (event.key === '?') dialog.value = { is: 'help' };
      else if (event.key === 't') preferences.theme.value = THEMES[(THEMES.indexOf(preferences.theme.peek()) + 1) % THEMES.length] ?? 'system';
      else if (event.key === '/') document.querySelector<HTMLElement>('[data-first-filter]')?.focus();
      else return;
      event.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}

const isTyping = (target: EventTarget | null): boolean => target instanceof HTMLElement && target.matches('input:not([type="checkbox"]):not([type="radio"]), select, textarea');
