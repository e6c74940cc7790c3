import { GetCallerIdentityCommand } from '@aws-sdk/client-sts';
import type { AwsStsCredentialConfig, AwsStsProviderConfig, CredentialConfig } from '../../config/config-schema.ts';
import type { Clock } from '../../core/clock.ts';
import { addMs, epochMsFrom } from '../../core/time.ts';
import type { LeaseId } from '../../core/ids.ts';
import type { Turns } from '../../core/turns.ts';
import type { LeaseIntent } from '../../ledger/lease.ts';
import { ProviderError, type Capabilities, type CredentialProvider, type Minted, type RevocationOrder, type RevocationResult } from '../credential-provider.ts';
import { ownCredential, ownCredentials } from '../own-credentials.ts';
import { createAwsClients, type AwsClients } from './aws-clients.ts';
import { toProviderError } from './aws-failure.ts';
import { keepsOut, type Deny, type DenyPolicy } from './deny-policy.ts';
import { clampOf, mintSession, sessionSeconds, SHORTEST_SESSION_SECONDS } from './mint-session.ts';
import { RoleDenies } from './role-denies.ts';
import { readRole, type RoleFacts } from './role-facts.ts';

export interface AwsStsProviderOptions {
  readonly name: string;
  readonly config: AwsStsProviderConfig;
  /** The credentials of this provider, by name. */
  readonly credentials: Readonly<Record<string, CredentialConfig>>;
  readonly deploymentId: string;
  readonly clock: Clock;
  /** Lets one process at a time write to a role. */
  readonly turns: Turns;
  /** What this process does: it logs in for nothing else. */
  readonly rights: { readonly mint: boolean; readonly revoke: boolean };
  readonly log: { warn(fields: object, message: string): void };
}

/** So near its own end, a session is dead before a deny could be everywhere. */
const NOT_WORTH_A_DENY_MS = 3_000;
/** IAM takes few requests a second: a role is not asked about for each mint. */
const FACTS_HOLD_MS = 60_000;
/** A mint that was never confirmed may have been taken by AWS this long after its intent. */
const UNCONFIRMED_MARGIN_MS = 60_000;

/** Sessions of IAM roles. Takes a provider's settings; nothing is asked of AWS before it is used. Throws `RangeError` for a credential of another kind. */
export function createAwsStsProvider({ name, config, credentials, deploymentId, clock, turns, rights, log }: AwsStsProviderOptions): AwsStsProvider {
  return new AwsStsProvider({
    ...{ name, config, deploymentId, clock, turns, log },
    credentials: ownCredentials(name, credentials, (credential) => credential.kind === 'aws.sts'),
    minting: rights.mint ? createAwsClients(config, config.login.api) : undefined,
    denying: rights.revoke ? createAwsClients(config, config.login.worker) : undefined,
  });
}

interface AwsStsProviderDeps extends Omit<AwsStsProviderOptions, 'credentials' | 'rights'> {
  readonly credentials: ReadonlyMap<string, AwsStsCredentialConfig>;
  readonly minting: AwsClients | undefined;
  readonly denying: AwsClients | undefined;
}

/**
 * AWS STS: kind `aws.sts`. AWS cannot end a session early; its role can deny it, which takes AWS a while to enforce
 * everywhere, so it is `eventual`. On its due time a session needs no deny: its own policy forbids everything from then on.
 */
export class AwsStsProvider implements CredentialProvider {
  readonly name: string;
  readonly #deps: AwsStsProviderDeps;
  readonly #roles = new Map<string, RoleDenies>();
  readonly #facts = new Map<string, { readonly readAtMs: number; readonly facts: RoleFacts }>();

  constructor(deps: AwsStsProviderDeps) {
    this.name = deps.name;
    this.#deps = deps;
  }

  capabilities(credential: string): Capabilities {
    this.#credential(credential);
    return {
      kind: 'aws.sts',
      revocability: 'eventual',
      minTtlSeconds: SHORTEST_SESSION_SECONDS,
      // Each request is judged afresh.
      endsOpenSessions: true,
      propagationSeconds: this.#deps.config.propagation_seconds,
      renewable: false,
      canList: false,
    };
  }

  async mint(intent: LeaseIntent, signal: AbortSignal): Promise<Minted> {
    const { name: provider, minting: clients, deploymentId, clock } = this.#deps;
    if (clients === undefined) throw this.#lacksRight('mint');
    const factsOf = (role: string, within: AbortSignal): Promise<RoleFacts> => this.#factsOf(role, clients, within);
    return mintSession(intent, this.#credential(intent.credential), { provider, clients, deploymentId, now: () => clock.now(), factsOf }, signal);
  }

  async *revokeMany(orders: readonly RevocationOrder[]): AsyncGenerator<RevocationResult, void, undefined> {
    const nowMs = this.#deps.clock.now();
    const early: RevocationOrder[] = [];
    for (const order of orders) {
      const endsAtMs = clampOf(order.intent);
      if (endsAtMs - nowMs > NOT_WORTH_A_DENY_MS) early.push(order);
      else yield { leaseId: order.intent.id, outcome: 'lapses', atMs: endsAtMs };
    }
    // All are asked for before any is waited for, so that they go into one write for each role.
    const asked = early.map(async (order) => this.#deny(order));
    for (const result of asked) yield await result;
  }

  /** Sessions whose deny is gone from a role that should have it. What only minting processes know, they cannot tell. */
  async undone(orders: readonly RevocationOrder[], signal: AbortSignal): Promise<readonly LeaseId[]> {
    const policies = new Map<string, Promise<DenyPolicy | undefined>>();
    const policyOf = (arn: string): Promise<DenyPolicy | undefined> => {
      const policy = policies.get(arn) ?? Promise.resolve(this.#denies(arn)?.standing(signal));
      policies.set(arn, policy);
      return policy;
    };
    const found = await Promise.all(
      orders.map(async ({ intent, handle }) => {
        if (clampOf(intent) - this.#deps.clock.now() <= NOT_WORTH_A_DENY_MS) return [];
        const standing = await Promise.all(this.#rolesOf(intent, handle).map(policyOf));
        return standing.every((policy) => policy === undefined || keepsOut(policy, { leaseId: intent.id }, intent.createdAtMs)) ? [] : [intent.id];
      }),
    );
    return found.flat();
  }

  /** A mint that was never confirmed, or whose role is no longer configured for it, may be of any role it could have been of. */
  #rolesOf(intent: LeaseIntent, handle: RevocationOrder['handle']): readonly string[] {
    const role = handle?.['role_arn'];
    return typeof role === 'string' ? [role] : (this.#deps.credentials.get(intent.credential)?.role_arns ?? []);
  }

  /** Denies whose sessions have ended make room. */
  async tidy(): Promise<void> {
    for (const role of new Set([...this.#deps.credentials.values()].flatMap(({ role_arns: roles }) => roles))) await this.#denies(role)?.write([]);
  }

  async checkHealth(signal: AbortSignal): Promise<void> {
    const { name, minting, denying } = this.#deps;
    try {
      const clients = [minting, denying].filter((one) => one !== undefined);
      await Promise.all(clients.map(({ sts }) => sts.send(new GetCallerIdentityCommand({}), { abortSignal: signal })));
    } catch (cause) {
      throw toProviderError(name, 'checking its health', cause);
    }
  }

  close(): Promise<void> {
    this.#deps.minting?.destroy();
    this.#deps.denying?.destroy();
    return Promise.resolve();
  }

  async #deny({ intent, handle }: RevocationOrder): Promise<RevocationResult> {
    try {
      const deny: Deny = { leaseId: intent.id, untilMs: sessionEnd(intent, handle) };
      const roles = this.#rolesOf(intent, handle);
      if (roles.length === 0) throw new ProviderError(this.name, 'refused', `the credential ${intent.credential} is no longer configured, and which role its session is of was not recorded`);
      const written = await Promise.all(
        roles.map((arn) => {
          const denies = this.#denies(arn);
          if (denies === undefined) throw new ProviderError(this.name, 'unavailable', 'a worker has to deny its session');
          return denies.write([deny]);
        }),
      );
      const latest = (instants: readonly number[]) => epochMsFrom(Math.max(...instants));
      const appliedAtMs = latest(written.map((one) => one.appliedAtMs));
      const verifiedAtMs = latest(written.map((one) => one.verifiedAtMs));
      const effectiveByMs = addMs(appliedAtMs, this.#deps.config.propagation_seconds * 1000);
      return { leaseId: intent.id, outcome: 'revoked', evidence: { appliedAtMs, verifiedAtMs, effectiveByMs } };
    } catch (cause) {
      return { leaseId: intent.id, outcome: 'failed', error: toProviderError(this.name, 'denying a session', cause) };
    }
  }

  async #factsOf(role: string, { iam }: AwsClients, signal: AbortSignal): Promise<RoleFacts> {
    const nowMs = performance.now();
    const known = this.#facts.get(role);
    if (known !== undefined && nowMs - known.readAtMs < FACTS_HOLD_MS) return known.facts;
    const facts = await readRole(iam, role, this.name, signal);
    this.#facts.set(role, { readAtMs: nowMs, facts });
    return facts;
  }

  #denies(arn: string): RoleDenies | undefined {
    const { name: provider, denying, turns, deploymentId, config, clock, log } = this.#deps;
    if (denying === undefined) return undefined;
    const known = this.#roles.get(arn);
    if (known !== undefined) return known;
    const created = new RoleDenies(arn, {
      ...{ provider, iam: denying.iam, turns, log },
      policyName: `mayfly-${deploymentId}`,
      writeIntervalMs: config.write_interval_ms,
      onFull: config.on_full,
      now: () => clock.now(),
    });
    this.#roles.set(arn, created);
    return created;
  }

  #credential(name: string): AwsStsCredentialConfig {
    return ownCredential(this.name, this.#deps.credentials, name);
  }

  #lacksRight(right: string): ProviderError {
    return new ProviderError(this.name, 'refused', `this process has no right to ${right} here`);
  }
}

/** When AWS has ended the session at the latest. */
function sessionEnd(intent: LeaseIntent, handle: RevocationOrder['handle']): number {
  const recorded = handle?.['session_ends_ms'];
  return typeof recorded === 'number' ? recorded : intent.createdAtMs + sessionSeconds(intent.createdAtMs, intent) * 1000 + UNCONFIRMED_MARGIN_MS;
}
