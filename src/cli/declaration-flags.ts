import { readFileSync } from 'node:fs';
import type { ConnectionFlags } from './broker-client.ts';
import { CliError, EXIT } from './exit-codes.ts';
import type { GrantFormatFlags } from './task-output.ts';
import { wholeNumber } from './whole-number.ts';

/** What `request` and `delegate` take. */
export interface RequestFlags extends ConnectionFlags, GrantFormatFlags {
  readonly purpose?: string;
  readonly action: readonly string[];
  readonly dataClass: readonly string[];
  readonly credential: readonly string[];
  readonly param: readonly string[];
  readonly context: readonly string[];
  readonly ttl?: string;
  readonly justification?: string;
  readonly ticket?: string;
  readonly heartbeat?: string;
  readonly agent?: string;
  readonly start?: string;
  readonly claimTicket?: boolean;
  readonly idempotencyKey?: string;
  readonly wait?: boolean;
  readonly signedDeclaration?: string;
  readonly userToken?: string;
  readonly file?: string;
}

/** The declaration that the flags describe, or the one in `--file`. Throws a usage error. */
export function declarationOf(flags: Omit<RequestFlags, 'format'>): object {
  if (flags.file !== undefined) return fileDeclaration(flags.file);
  if (flags.purpose === undefined) throw new CliError(EXIT.usage, '--purpose is required, or a whole declaration by --file');
  return { purpose: flags.purpose, ...envelopeOf(flags) };
}

/** All of a declaration but its purpose, which a delegated task has from its parent. Throws a usage error. */
export function envelopeOf(flags: Omit<RequestFlags, 'format' | 'purpose' | 'file'>): object {
  if (flags.action.length === 0) throw new CliError(EXIT.usage, 'at least one --action is required');
  if (flags.credential.length === 0) throw new CliError(EXIT.usage, 'at least one --credential is required');
  const params = new Map<string, Record<string, unknown>>();
  for (const text of flags.param) {
    const [target, value] = pair('--param', text);
    const [credential, name, ...rest] = target.split('.');
    if (credential === undefined || name === undefined || rest.length > 0) throw new CliError(EXIT.usage, '--param takes credential.name=value');
    if (!flags.credential.some((wanted) => wanted.split(':')[0] === credential)) {
      throw new CliError(EXIT.usage, `--param ${target} is for a credential that is not asked for`);
    }
    params.set(credential, { ...params.get(credential), [name]: value });
  }
  return {
    actions: flags.action,
    data_classes: flags.dataClass,
    context: Object.fromEntries(flags.context.map((text) => pair('--context', text))),
    ...(flags.ttl === undefined ? {} : { ttl_seconds: wholeNumber('--ttl', flags.ttl) }),
    ...(flags.heartbeat === undefined ? {} : { heartbeat_seconds: wholeNumber('--heartbeat', flags.heartbeat) }),
    ...(flags.justification === undefined ? {} : { justification: flags.justification }),
    ...(flags.ticket === undefined ? {} : { ticket: flags.ticket }),
    ...(flags.agent === undefined ? {} : { agent: flags.agent }),
    ...(flags.start === undefined ? {} : { start: flags.start }),
    ...(flags.claimTicket === undefined ? {} : { claim_ticket: flags.claimTicket }),
    credentials: flags.credential.map((text) => {
      const [name = '', seconds] = text.split(':');
      return { name, ...(seconds === undefined ? {} : { ttl_seconds: wholeNumber('--credential', seconds) }), params: params.get(name) ?? {} };
    }),
  };
}

/** The word of somebody else, where the flags bring one. Throws a usage error. */
export function evidenceOf({ signedDeclaration, userToken }: RequestFlags): object {
  if (signedDeclaration !== undefined && userToken !== undefined) throw new CliError(EXIT.usage, '--signed-declaration and --user-token exclude each other');
  const path = signedDeclaration ?? userToken;
  if (path === undefined) return {};
  try {
    return { evidence: { kind: signedDeclaration === undefined ? 'user_consented' : 'orchestrator_signed', token: readFileSync(path, 'utf8').trim() } };
  } catch {
    throw new CliError(EXIT.usage, `${path} cannot be read`);
  }
}

function fileDeclaration(path: string): object {
  try {
    const value: unknown = JSON.parse(readFileSync(path === '-' ? 0 : path, 'utf8'));
    if (typeof value === 'object' && value !== null) return value;
  } catch (error) {
    throw new CliError(EXIT.usage, `--file ${path}: ${error instanceof SyntaxError ? 'is not JSON' : 'cannot be read'}`);
  }
  throw new CliError(EXIT.usage, `--file ${path}: must hold a JSON object`);
}

/** `name=value`, where whole numbers, true and false are taken as such. */
export function pair(flag: string, text: string): [string, string | number | boolean] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError(EXIT.usage, `${flag} takes name=value, not ${text}`);
  const value = text.slice(at + 1);
  if (value === 'true' || value === 'false') return [text.slice(0, at), value === 'true'];
  return [text.slice(0, at), /^-?\d{1,15}$/.test(value) ? Number(value) : value];
}
