// How a reader likes the page: kept by this browser, and no business of the broker's.
import { effect, signal, type Signal } from '@preact/signals';
import { browserStorage } from './tab-storage.ts';

export type Theme = 'system' | 'light' | 'dark';
export const THEMES: readonly Theme[] = ['system', 'light', 'dark'];

export interface Preferences {
  readonly theme: Signal<Theme>;
  /** Whether a single key acts (WCAG 2.2, 2.1.4: who dictates must be able to switch it off). */
  readonly keys: Signal<boolean>;
}

export function createPreferences(): Preferences {
  const kept = browserStorage.get('mayfly.theme');
  const theme = signal<Theme>(THEMES.find((one) => one === kept) ?? 'system');
  const keys = signal(browserStorage.get('mayfly.keys') !== 'off');
  effect(() => {
    if (theme.value === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme.value;
    browserStorage.set('mayfly.theme', theme.value === 'system' ? null : theme.value);
  });
  effect(() => browserStorage.set('mayfly.keys', keys.value ? null : 'off'));
  return { theme, keys };
}
