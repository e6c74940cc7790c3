import { createPrivateKey, createPublicKey, randomUUID, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose';
import { Problem } from '../core/problem.ts';
import type { WorkloadId } from '../identity/caller.ts';
import { DECLARATION_LIFETIME_SECONDS, DECLARATION_TYPE } from '../identity/evidence-verifier.ts';
import { parseDeclaration, type Declaration } from '../task/declaration.ts';
import { declarationDigest, unsaidLifetimes } from '../task/vouched-declaration.ts';
import { CliError, EXIT } from './exit-codes.ts';
import { wholeNumber } from './whole-number.ts';

/** Which declaration, and for whom. */
export interface AgentFlags {
  readonly file: string;
  readonly agent?: string;
  readonly agentIssuer: string;
}

/** The same, and who signs. */
export interface SignFlags extends AgentFlags {
  readonly keyFile: string;
  readonly kid?: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly lifetime: string;
}

/** A signed declaration, for one use within minutes. Throws a usage error. */
export async function signDeclaration(flags: SignFlags): Promise<string> {
  const seconds = wholeNumber('--lifetime', flags.lifetime);
  if (seconds < 1 || seconds > DECLARATION_LIFETIME_SECONDS) throw new CliError(EXIT.usage, `--lifetime takes 1 to ${DECLARATION_LIFETIME_SECONDS} seconds`);
  const key = readKey(flags.keyFile);
  return new SignJWT({ declaration_digest: declarationDigest(...vouchedFor(flags)) })
    .setProtectedHeader({ alg: algorithmOf(key), kid: flags.kid ?? (await calculateJwkThumbprint(await exportJWK(createPublicKey(key)))), typ: DECLARATION_TYPE })
    .setIssuer(flags.issuer)
    .setSubject(flags.subject)
    .setAudience(flags.audience)
    .setIssuedAt()
    .setExpirationTime(`${seconds}s`)
    .setJti(randomUUID())
    .sign(key);
}

/** The digest that stands for the declaration. Throws a usage error. */
export const digestDeclaration = (flags: AgentFlags): string => declarationDigest(...vouchedFor(flags));

/** The declaration as the broker will read it, and its agent. Throws a usage error where the broker would refuse it. */
function vouchedFor({ file, agent, agentIssuer }: AgentFlags): [Declaration, WorkloadId] {
  let declaration: Declaration;
  try {
    declaration = parseDeclaration(JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8')));
  } catch (error) {
    const why = error instanceof Problem ? error.errors.map(({ pointer, detail }) => `${pointer || '/'} ${detail}`).join('; ') : error instanceof SyntaxError ? 'is not JSON' : 'cannot be read';
    throw new CliError(EXIT.usage, `--file ${file}: ${why}`);
  }
  const [unsaid] = unsaidLifetimes(declaration);
  if (unsaid !== undefined) throw new CliError(EXIT.usage, `--file ${file}: ${unsaid.pointer} ${unsaid.detail}`);
  const subject = declaration.agent ?? agent;
  if (subject === undefined || (agent !== undefined && agent !== subject)) throw new CliError(EXIT.usage, 'say who will act, once: in the declaration, or by --agent');
  return [declaration, { issuer: declaration.agent_issuer ?? agentIssuer, subject }];
}

function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file, 'utf8'));
  } catch {
    throw new CliError(EXIT.usage, `--key-file ${file}: is no private key in PEM that can be read`);
  }
}

const ALGORITHMS: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512', ed25519: 'EdDSA', rsa: 'RS256' };

function algorithmOf(key: KeyObject): string {
  const algorithm = ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? ''];
  if (algorithm === undefined) throw new CliError(EXIT.usage, '--key-file takes a key on P-256, P-384, P-521 or Ed25519, or an RSA key');
  return algorithm;
}
