import type { ConfigPath } from '../load-config.ts';
import type { RuleFault } from './rule-fault.ts';
import type { AwsStsCredentialConfig, Config, CredentialConfig } from '../config-schema.ts';

/** What the schema cannot say of credentials: that their provider mints them, that parameters fit, that nobody has another's rights. Pure. */
export const credentialFaults = (config: Config): RuleFault[] => [...eachCredentialFaults(config), ...tokenRoleFaults(config)];

/** The type of provider that mints a kind: what stands before its dot. */
function providerTypeOf(kind: CredentialConfig['kind']): Config['providers'][string]['type'] {
  switch (kind) {
    case 'jwt':
      return 'jwt';
    case 'aws.sts':
      return 'aws-sts';
    default:
      return 'vault';
  }
}

function eachCredentialFaults({ credentials, providers, identity, operators, limits, oauth }: Config): RuleFault[] {
  return Object.entries(credentials).flatMap(([name, credential]) => {
    const key = ['credentials', name];
    const faults: RuleFault[] = [];
    const provider = providers[credential.provider];
    const wanted = providerTypeOf(credential.kind);
    if (provider === undefined) faults.push({ key: [...key, 'provider'], detail: `must be one of the configured providers: ${Object.keys(providers).join(', ')}` });
    else if (provider.type !== wanted) faults.push({ key: [...key, 'provider'], detail: `must be a provider of type ${wanted} for the kind ${credential.kind}` });
    if ((credential.max_ttl_seconds ?? 0) > limits.max_ttl_seconds) {
      faults.push({ key: [...key, 'max_ttl_seconds'], detail: `must be at most limits.max_ttl_seconds, ${limits.max_ttl_seconds}` });
    }
    if ('renewable' in credential && credential.renewable === true && credential.max_ttl_seconds === undefined) {
      faults.push({ key: [...key, 'renewable'], detail: 'needs max_ttl_seconds: the target is told the longest it may ever live' });
    }
    if (credential.kind === 'jwt' && [identity.audience, operators.audience, ...identity.issuers.map((issuer) => issuer.audience)].includes(credential.audience)) {
      faults.push({ key: [...key, 'audience'], detail: "is Mayfly's own audience; a minted token must not be able to declare tasks" });
    }
    if (credential.kind === 'jwt' && credential.transaction_token) faults.push(...transactionTokenFaults(key, credential, oauth));
    if (credential.kind === 'aws.sts') faults.push(...sessionFaults(key, credential));
    if (credential.kind === 'vault.dynamic') faults.push(...pathFaults(key, credential.path, credential.params));
    if (credential.kind === 'vault.kv') {
      faults.push(...pathFaults(key, credential.path, credential.params));
      if (!isPlainPath(credential.mount)) faults.push({ key: [...key, 'mount'], detail: 'must be plain segments, with no slash at either end, and no parameter' });
      if (credential.version !== undefined && credential.engine_version === 1) faults.push({ key: [...key, 'version'], detail: 'needs engine_version 2: version 1 keeps only the newest' });
    }
    for (const [param, schema] of Object.entries(credential.params)) {
      if (schema.type === 'string' && schema.pattern !== undefined && !isPattern(schema.pattern)) {
        faults.push({ key: [...key, 'params', param, 'pattern'], detail: 'must be a regular expression (JavaScript, with the flag u)' });
      }
      if (schema.type === 'integer' && schema.min !== undefined && schema.max !== undefined && schema.min > schema.max) {
        faults.push({ key: [...key, 'params', param, 'min'], detail: 'must be at most max' });
      }
    }
    return faults;
  });
}

/** "On the order of minutes or less" (draft-ietf-oauth-transaction-tokens, section 4): nobody can take one back. */
const LONGEST_TRANSACTION_SECONDS = 300;

function transactionTokenFaults(key: ConfigPath, credential: Extract<CredentialConfig, { kind: 'jwt' }>, oauth: Config['oauth']): RuleFault[] {
  const { max_ttl_seconds: most = Infinity, introspection_required: opaque } = credential;
  return [
    ...(oauth.experimental_transaction_tokens ? [] : [{ key: [...key, 'transaction_token'], detail: 'needs oauth.experimental_transaction_tokens: true' }]),
    ...(most > LONGEST_TRANSACTION_SECONDS ? [{ key: [...key, 'max_ttl_seconds'], detail: `must be given, and at most ${LONGEST_TRANSACTION_SECONDS}: a transaction token cannot be taken back` }] : []),
    ...(opaque ? [{ key: [...key, 'introspection_required'], detail: 'must be false: a transaction token is read by all it passes through' }] : []),
  ];
}

type Params = Config['credentials'][string]['params'];

/** A path is fixed but for whole segments that declared parameters fill. */
function pathFaults(key: ConfigPath, path: string, params: Params): RuleFault[] {
  const faults: RuleFault[] = [];
  const segments = path.split('/');
  const used = segments.flatMap((segment) => /^\{([^{}]*)\}$/.exec(segment)?.[1] ?? []);
  if (!isPlain(segments)) {
    faults.push({ key: [...key, 'path'], detail: 'must be plain segments, with no slash at either end, and no wildcard' });
  }
  if (segments.some((segment) => /[{}]/.test(segment.replace(/^\{[^{}]*\}$/, '')))) {
    faults.push({ key: [...key, 'path'], detail: 'must use a parameter as a whole segment, as in database/creds/{role}' });
  }
  for (const param of used) {
    if (!Object.hasOwn(params, param)) faults.push({ key: [...key, 'path'], detail: `uses {${param}}, which params does not define` });
    else if (params[param]?.required === false) faults.push({ key: [...key, 'params', param, 'required'], detail: 'must be true: the path needs it' });
  }
  for (const param of Object.keys(params).filter((name) => !used.includes(name))) faults.push({ key: [...key, 'params', param], detail: 'is not used in path' });
  return faults;
}

/** AWS sells no session beyond twelve hours. */
const LONGEST_SESSION_SECONDS = 43_200;

function sessionFaults(key: ConfigPath, { session_policy: statements, params, max_ttl_seconds: most, role_arns: roles }: AwsStsCredentialConfig): RuleFault[] {
  const faults: RuleFault[] = [];
  if ((most ?? 0) > LONGEST_SESSION_SECONDS) faults.push({ key: [...key, 'max_ttl_seconds'], detail: `must be at most ${LONGEST_SESSION_SECONDS}: AWS sells no longer session` });
  const used = new Set<string>();
  for (const [index, { resources }] of statements.entries()) {
    for (const [position, resource] of resources.entries()) {
      const at = [...key, 'session_policy', index, 'resources', position];
      for (const [, param = ''] of resource.matchAll(/\{([^{}]*)\}/g)) {
        used.add(param);
        if (!Object.hasOwn(params, param)) faults.push({ key: at, detail: `uses {${param}}, which params does not define` });
        else if (params[param]?.required === false) faults.push({ key: [...key, 'params', param, 'required'], detail: 'must be true: the session policy needs it' });
      }
    }
  }
  for (const param of Object.keys(params).filter((name) => !used.has(name))) faults.push({ key: [...key, 'params', param], detail: 'is not used in session_policy' });
  for (const [index, role] of roles.entries()) if (roles.indexOf(role) !== index) faults.push({ key: [...key, 'role_arns', index], detail: 'is listed twice' });
  return faults;
}

const isPlain = (segments: readonly string[]): boolean => !segments.some((segment) => ['', '.', '..'].includes(segment) || /[?#*+\s%]/.test(segment));
const isPlainPath = (path: string): boolean => isPlain(path.split('/')) && !/[{}]/.test(path);

function isPattern(text: string): boolean {
  try {
    new RegExp(`^(?:${text})$`, 'u');
    return true;
  } catch {
    return false;
  }
}

/** Two credentials on one token role would each have the rights of both. */
function tokenRoleFaults({ credentials }: Config): RuleFault[] {
  const owners = new Map<string, string>();
  return Object.entries(credentials).flatMap(([name, credential]) => {
    if (!('token_role' in credential)) return [];
    const role = `${credential.provider}/${credential.token_role}`;
    const owner = owners.get(role);
    owners.set(role, owner ?? name);
    return owner === undefined ? [] : [{ key: ['credentials', name, 'token_role'], detail: `is also that of ${owner}; each credential has its own` }];
  });
}
