import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DevIssuer } from './dev-issuer.ts';
import type { DevPerson } from './dev-sign-in.ts';

/** Who there is in the development stack; the example policies know the workloads by these names. */
export const AGENT = 'agent:refunds';
export const SECOND_AGENT = 'agent:payouts';
export const ORCHESTRATOR = 'orchestrator:support-desk';

/** Token files by the name they have in `dev.json`. */
export type TokenFiles = Readonly<Record<keyof typeof WORKLOADS | keyof typeof OPERATORS, string>>;

const WORKLOADS = {
  agent_token_file: AGENT,
  second_agent_token_file: SECOND_AGENT,
  orchestrator_token_file: ORCHESTRATOR,
} as const;

const OPERATORS = {
  viewer_token_file: ['vera', 'mayfly-viewer'],
  operator_token_file: ['olga', 'mayfly-operator'],
  second_operator_token_file: ['oskar', 'mayfly-operator'],
  admin_token_file: ['ada', 'mayfly-admin'],
} as const;

/** Who can sign in with a browser: the same people. */
export const PEOPLE: readonly DevPerson[] = [
  ['vera', 'viewer: looks', 'mayfly-viewer'],
  ['olga', 'operator: revokes, locks, approves', 'mayfly-operator'],
  ['oskar', 'operator: a second one, for what needs two', 'mayfly-operator'],
  ['ada', 'admin: also changes policy and releases holds', 'mayfly-admin'],
  ['nora', 'nobody here: she is given no role, and is not let in', null],
].map(([subject, title, role]) => ({ subject, title, claims: { roles: role === null ? [] : [role] } }) as DevPerson);

/** Tokens live ten minutes; written anew this often, a file is never close to its end. */
const REFRESH_MS = 120_000;

/** Writes a token file for every identity and keeps them fresh until stopped. Files are 0600 and hold the token alone. */
export async function keepTokensFresh(
  directory: string,
  workloads: DevIssuer,
  operators: DevIssuer,
  refreshMs = REFRESH_MS,
): Promise<{ readonly files: TokenFiles; stop(): void }> {
  const write = async (): Promise<void> => {
    for (const [name, subject] of Object.entries(WORKLOADS)) await writeToken(directory, name, await workloads.sign({ subject }));
    for (const [name, [subject, role]] of Object.entries(OPERATORS)) {
      await writeToken(directory, name, await operators.sign({ subject, claims: { roles: [role] } }));
    }
  };
  await write();
  let writing: Promise<void> | undefined;
  // One after the other: two at once would take each other's half-written file. A failed one is made good by the next.
  const timer = setInterval(() => {
    writing ??= write()
      .catch(() => undefined)
      .finally(() => {
        writing = undefined;
      });
  }, refreshMs);
  const names = [...Object.keys(WORKLOADS), ...Object.keys(OPERATORS)];
  const files = Object.fromEntries(names.map((name) => [name, tokenFile(directory, name)])) as TokenFiles;
  return { files, stop: () => clearInterval(timer) };
}

const tokenFile = (directory: string, name: string): string => join(directory, name.replace(/_token_file$/, '').replaceAll('_', '-') + '.token');

/** Replaced in one step, so that a reader never sees half a token. */
async function writeToken(directory: string, name: string, token: string): Promise<void> {
  const file = tokenFile(directory, name);
  await writeFile(`${file}.new`, token, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
