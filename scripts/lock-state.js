// Whether what npm installed is what the lockfile asks for. Pure, so that it can be tested without npm.

/**
 * @typedef {{ packages: Record<string, { version?: string, integrity?: string, optional?: boolean, link?: boolean }> }} Lockfile
 */

/**
 * Compares by content: a touched lockfile is no reason to install, and a lockfile brought back by git with an old date is one.
 * @param {Lockfile} lock package-lock.json
 * @param {Lockfile | undefined} installed node_modules/.package-lock.json, which npm writes last; undefined where it is missing
 * @returns {boolean}
 */
export function isOutdated(lock, installed) {
  if (installed === undefined) return true;
  const isSame = ([path, wanted]) => {
    const found = installed.packages[path];
    // npm leaves out optional packages that are for another platform.
    if (found === undefined) return wanted.optional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  };
  const wanted = Object.entries(lock.packages).filter(([path]) => path !== '');
  return !wanted.every(isSame) || Object.keys(installed.packages).some((path) => lock.packages[path] === undefined);
}
