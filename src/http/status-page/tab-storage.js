// sessionStorage: this tab alone has what is in it, and it goes with the tab.

/** Where storage is switched off, the token lives in memory alone, and a reload asks for it again. */
export const tabStorage = {
  /** @param {string} key */
  get(key) {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  /** @param {string} key @param {string | null} value null forgets it */
  set(key, value) {
    try {
      if (value === null) sessionStorage.removeItem(key);
      else sessionStorage.setItem(key, value);
    } catch {
      // As above.
    }
  },
};
