import { findDevStack } from './dev-stack.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { loginPath, readLogin } from './login/login-store.ts';
import { safeAddress } from './safe-address.ts';
import { folderSettingsPath, readSettingsFile, userSettingsPath, type FileSettings, type Setting } from './settings-file.ts';

/** How to reach the broker, as every command takes it. */
export interface ConnectionFlags {
  readonly addr?: string;
  readonly tokenFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly caFile?: string;
}

/** Whose token a command needs, where there are several; none for what anyone may ask. */
export type Caller = 'agent' | 'operator' | 'admin' | 'anyone';

/** Which broker is called, and what shows who calls; each with where it was said. */
export interface ConnectionSettings {
  readonly addr: Setting;
  readonly tokenFile?: Setting;
  /** A token that the environment holds itself; its value is secret. */
  readonly token?: Setting;
  /** A token that `mayfly login` got; its value is secret. */
  readonly login?: Setting & { readonly expiresAt: string };
  readonly certFile?: Setting;
  readonly keyFile?: Setting;
  readonly caFile?: Setting;
}

export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  readonly folder: string;
}

/** What shows who calls, in one place: it goes together, never piece by piece from several. */
type Credentials = Omit<ConnectionSettings, 'addr' | 'caFile'>;
type Place = { readonly [Name in keyof Credentials]?: Credentials[Name] | undefined };
/** Which broker is called, and who may vouch for it. */
export type AddressSettings = Pick<ConnectionSettings, 'addr' | 'caFile'>;

const VARIABLES = { addr: 'MAYFLY_ADDR', tokenFile: 'MAYFLY_TOKEN_FILE', token: 'MAYFLY_TOKEN', certFile: 'MAYFLY_CERT_FILE', keyFile: 'MAYFLY_KEY_FILE', caFile: 'MAYFLY_CA_FILE' } as const;

/**
 * A flag wins over a variable, that over `./.mayfly.yaml`, over a development stack here, over the user's own file. What shows who calls is
 * taken from the first of them that has any, and only for the address it was meant for: a file's is for the address in that same
 * file, a development stack's for that stack, and an address from a folder that may hold other people's files gets nothing from
 * the environment. What `mayfly login` got at that address, for operators, comes before any file. Throws a usage error that says what is missing.
 */
export async function connectionSettings(flags: ConnectionFlags, caller: Caller, surroundings: Surroundings): Promise<ConnectionSettings> {
  const { env, folder } = surroundings;
  const byFlag = { addr: flagOf('--addr', flags.addr), tokenFile: flagOf('--token-file', flags.tokenFile), certFile: flagOf('--cert-file', flags.certFile), keyFile: flagOf('--key-file', flags.keyFile), caFile: flagOf('--ca-file', flags.caFile) };
  const byEnv = Object.fromEntries(Object.entries(VARIABLES).map(([name, variable]) => [name, flagOf(variable, env[variable])])) as Record<keyof typeof VARIABLES, Setting | undefined>;
  const inFolder = ofFile(await readSettingsFile(folderSettingsPath(folder), { confined: true, env }));
  const ofUser = ofFile(await readSettingsFile(userSettingsPath(env), { confined: false, env }));
  const dev = findDevStack(folder);
  const ofStack = dev === undefined ? {} : { addr: { value: dev.stack.url, origin: dev.path }, tokenFile: { value: dev.stack[caller === 'anyone' ? 'operator_token_file' : (`${caller}_token_file` as const)], origin: dev.path } };

  const addr = byFlag.addr ?? byEnv.addr ?? inFolder.addr ?? ofStack.addr ?? ofUser.addr;
  if (addr === undefined) throw new CliError(EXIT.usage, `no broker is named: use --addr or MAYFLY_ADDR, write addr into ${userSettingsPath(env)}, or run \`npm start\` here for a development stack`);
  const { origin } = safeAddress(addr.value, addr.origin);
  const isFor = (one: { readonly addr?: Setting }): boolean => one.addr !== undefined && safeAddress(one.addr.value, one.addr.origin).origin === origin;
  const files = [inFolder, ofStack, ofUser].filter(isFor);
  const caFile = byFlag.caFile ?? byEnv.caFile ?? files.map((one): Setting | undefined => ('caFile' in one ? one.caFile : undefined)).find((one) => one !== undefined);
  const reached = { addr, ...(caFile === undefined ? {} : { caFile }) };
  if (caller === 'anyone') return reached;
  const credentials = firstOf([byFlag, ...(addr === inFolder.addr ? [] : [byEnv])]) ?? (caller === 'agent' ? undefined : firstOf([loginAt(origin, env)])) ?? firstOf(files);
  if (credentials === undefined) {
    if (addr === inFolder.addr && Object.keys(credentialsOf(byEnv)).length > 0) throw new CliError(EXIT.usage, `the address is from ${addr.origin}, which may be somebody else's: your token is not sent there unless you say so, with --addr or --token-file`);
    throw new CliError(EXIT.usage, `no token is named: ${caller === 'agent' ? '' : 'run `mayfly login`, or '}use --token-file, MAYFLY_TOKEN_FILE or MAYFLY_TOKEN, or --cert-file and --key-file`);
  }
  if ((credentials.certFile === undefined) !== (credentials.keyFile === undefined)) throw new CliError(EXIT.usage, '--cert-file and --key-file go together');
  return { ...reached, ...credentials };
}

/** The broker that its user named: nobody is signed in for one that a file in a folder names. Throws a usage error. */
export async function ownAddress(flags: ConnectionFlags, surroundings: Surroundings): Promise<AddressSettings> {
  const settings = await connectionSettings(flags, 'anyone', surroundings);
  const { value, origin } = settings.addr;
  if (origin.startsWith(`${folderSettingsPath(surroundings.folder)}:`)) throw new CliError(EXIT.usage, `the address is from ${origin}, which may be somebody else's: name it with --addr ${value} to sign in there`);
  return settings;
}

const flagOf = (origin: string, value: string | undefined): Setting | undefined => (value === undefined || value === '' ? undefined : { value, origin });

const ofFile = ({ addr, token_file: tokenFile, cert_file: certFile, key_file: keyFile, ca_file: caFile }: FileSettings = {}): Partial<ConnectionSettings> =>
  Object.fromEntries(Object.entries({ addr, tokenFile, certFile, keyFile, caFile }).filter(([, one]) => one !== undefined));

const firstOf = (places: readonly Place[]): Credentials | undefined => places.map(credentialsOf).find((one) => Object.keys(one).length > 0);

function loginAt(address: string, env: NodeJS.ProcessEnv): Place {
  const kept = readLogin(address, env);
  return kept === undefined ? {} : { login: { value: kept.token, origin: loginPath(address, env), expiresAt: kept.expiresAt } };
}

function credentialsOf({ tokenFile, token, login, certFile, keyFile }: Place): Credentials {
  // A file that is named wins over a token beside it: it is written anew before it expires.
  const shown = { tokenFile, token: tokenFile === undefined ? token : undefined, login, certFile, keyFile };
  return Object.fromEntries(Object.entries(shown).filter(([, one]) => one !== undefined));
}
