import { issuerOfSpiffeId } from '../identity/spiffe-id.ts';
import type { Selector } from './selector.ts';

/** Who a transmitter may speak for, and which issuer vouches for the persons that agents act for. */
export interface SignalScope {
  readonly transmitter: { readonly issuer: string; readonly speaks_for: readonly string[] };
  readonly usersIssuer: string | undefined;
}

/** Identifiers within identifiers: no honest one goes deeper. */
const MAX_DEPTH = 3;

/**
 * What a subject identifier (RFC 9493, SSF 1.0 section 3) selects: an agent, or a person on whose behalf agents act. Empty where it
 * is of no kind that is known, and where the transmitter has no say over whom it names. Pure.
 */
export function selectorsOf(subject: unknown, scope: SignalScope, depth = 0): Selector[] {
  if (typeof subject !== 'object' || subject === null || depth > MAX_DEPTH) return [];
  const { transmitter, usersIssuer } = scope;
  const said = subject as Readonly<Record<string, unknown>>;
  const maySpeakFor = (issuer: string): boolean => issuer === transmitter.issuer || transmitter.speaks_for.includes(issuer);
  const named = (issuer: unknown, name: unknown): Selector[] => {
    if (!isName(issuer) || !isName(name) || !maySpeakFor(issuer)) return [];
    return [{ agent: name, agent_issuer: issuer }, ...(issuer === usersIssuer ? [{ subject: name }] : [])];
  };
  switch (said['format']) {
    case 'iss_sub':
      return named(said['iss'], said['sub']);
    case 'opaque':
      return named(transmitter.issuer, said['id']);
    case 'uri':
      return isName(said['uri']) ? named(issuerOfSpiffeId(said['uri']), said['uri']) : [];
    case 'email':
      return isName(said['email']) && usersIssuer !== undefined && maySpeakFor(usersIssuer) ? [{ subject: said['email'] }] : [];
    case 'aliases':
      return Array.isArray(said['identifiers']) ? said['identifiers'].flatMap((one) => selectorsOf(one, scope, depth + 1)) : [];
    // A session or a device of the user is nothing that is known here: all of that user's tasks end.
    case 'complex':
      return selectorsOf(said['user'], scope, depth + 1);
    default:
      return [];
  }
}

const isName = (value: unknown): value is string => typeof value === 'string' && value !== '' && value.length <= 2_048 && value.isWellFormed();
