// What this tab keeps (sessionStorage: it goes with the tab), and what this browser keeps of how a reader likes the page.

export interface Store {
  get(key: string): string | null;
  /** `null` forgets it. */
  set(key: string, value: string | null): void;
}

/** Where storage is switched off nothing is kept: a token lives in memory alone, and a reload asks for it again. */
const storeIn = (storage: () => Storage): Store => ({
  get(key) {
    try {
      return storage().getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      if (value === null) storage().removeItem(key);
      else storage().setItem(key, value);
    } catch {
      // As above.
    }
  },
});

export const tabStorage = storeIn(() => sessionStorage);
export const browserStorage = storeIn(() => localStorage);
