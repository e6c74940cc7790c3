// Where in the page one is: `#/leases?agent=agent%3Arefunds`. All of it can be sent to a colleague; none of it reaches a server. Pure.
export const VIEWS = ['overview', 'leases', 'tasks', 'approvals', 'locks', 'agents', 'denials', 'audit'] as const;
export type ViewName = (typeof VIEWS)[number];

export interface Place {
  readonly view: ViewName;
  /** Of what is looked at: a task. */
  readonly id: string | null;
  readonly query: URLSearchParams;
}

/** The place a hash names; an unknown one is the overview. */
export function parseHash(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const [name = '', id] = path.split('/');
  const view = VIEWS.find((one) => one === name) ?? 'overview';
  return { view, id: id === undefined || id === '' ? null : decoded(id), query: new URLSearchParams(query) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The hash of a place; parameters that are empty are left out. */
export function hashOf(view: ViewName, id: string | null = null, query: Readonly<Record<string, string | undefined>> = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value] as [string, string]]));
  const path = view === 'overview' ? '' : id === null ? view : `${view}/${encodeURIComponent(id)}`;
  return `#/${path}${given.length === 0 ? '' : `?${new URLSearchParams(given)}`}`;
}
