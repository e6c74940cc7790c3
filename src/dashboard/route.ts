// Follows the address, and changes it.
import { signal, type ReadonlySignal } from '@preact/signals';
import { hashOf, parseHash, type Place } from './place.ts';

export interface Router {
  readonly place: ReadonlySignal<Place>;
  readonly go: (hash: string) => void;
  /** Another query at the same place: a filter is no step that one goes back over. */
  readonly filter: (query: Readonly<Record<string, string | undefined>>) => void;
}

/** Follows the address for as long as the page lives. */
export function createRouter(): Router {
  const place = signal(parseHash(location.hash));
  window.addEventListener('hashchange', () => (place.value = parseHash(location.hash)));
  return {
    place,
    go: (hash) => (location.hash = hash),
    filter(query) {
      const { view, id } = place.peek();
      history.replaceState(null, '', hashOf(view, id, query));
      place.value = parseHash(location.hash);
    },
  };
}
