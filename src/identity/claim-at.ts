/**
 * The claim at a path with dots, such as `realm_access.roles`; `undefined` where there is none. A name may hold dots
 * itself (`https://example.org/roles`, and `kubernetes.io` in `kubernetes.io.pod.uid`): the whole path is tried as a name
 * first, then each shorter beginning of it.
 */
export function claimAt(claims: unknown, path: string): unknown {
  if (typeof claims !== 'object' || claims === null) return undefined;
  const members = new Map<string, unknown>(Object.entries(claims));
  if (members.has(path)) return members.get(path);
  for (let dot = path.indexOf('.'); dot !== -1; dot = path.indexOf('.', dot + 1)) {
    const found = claimAt(members.get(path.slice(0, dot)), path.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}
