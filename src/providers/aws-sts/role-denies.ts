import { DeleteRolePolicyCommand, GetRolePolicyCommand, ListRolePoliciesCommand, PutRolePolicyCommand, type IAMClient } from '@aws-sdk/client-iam';
import { setTimeout as sleep } from 'node:timers/promises';
import { TurnLost, type Turns } from '../../core/turns.ts';
import { ProviderError } from '../credential-provider.ts';
import { awsCode, toProviderError } from './aws-failure.ts';
import { MAX_INLINE_POLICIES, NO_DENIES, holds, parseDenyPolicy, renderDenyPolicy, widen, withDenies, type Deny, type DenyPolicy } from './deny-policy.ts';
import { readRole, roleName } from './role-facts.ts';

export interface RoleDeniesDeps {
  readonly provider: string;
  readonly iam: IAMClient;
  readonly turns: Turns;
  /** Names the inline policy: one for each deployment. */
  readonly policyName: string;
  readonly writeIntervalMs: number;
  readonly onFull: 'wait' | 'widen';
  readonly now: () => number;
  readonly log: { warn(fields: object, message: string): void };
}

/** When AWS took the deny, and when it was read back. */
export interface DenyWritten {
  readonly appliedAtMs: number;
  readonly verifiedAtMs: number;
}

/** For one write with its reads, the wait for the turn included. */
const WRITE_TIMEOUT_MS = 20_000;

interface Waiting {
  readonly denies: readonly Deny[];
  readonly written: (result: DenyWritten) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * The denies of one role. A write replaces the whole policy, so writes take turns, over all processes, and each starts by
 * reading. What is asked for while one write is on its way goes into the next.
 */
export class RoleDenies {
  readonly #arn: string;
  readonly #deps: RoleDeniesDeps;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #lastWriteMs = -Infinity;

  constructor(arn: string, deps: RoleDeniesDeps) {
    this.#arn = arn;
    this.#deps = deps;
  }

  /** Resolves once the role denies all of these sessions, as read back from AWS. Throws `ProviderError`. */
  write(denies: readonly Deny[]): Promise<DenyWritten> {
    return new Promise((written, failed) => {
      this.#waiting.push({ denies, written, failed });
      this.#writing ??= this.#writeAll().finally(() => (this.#writing = undefined));
    });
  }

  /** What the role denies now, as AWS tells it. Throws `ProviderError`. */
  async standing(signal: AbortSignal): Promise<DenyPolicy> {
    try {
      return await this.#read(signal);
    } catch (cause) {
      throw toProviderError(this.#deps.provider, `reading what ${roleName(this.#arn)} denies`, cause);
    }
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      await sleep(Math.max(0, this.#lastWriteMs + this.#deps.writeIntervalMs - performance.now()));
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const result = await this.#inTurn(batch.flatMap(({ denies }) => denies));
        for (const { written } of batch) written(result);
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
      this.#lastWriteMs = performance.now();
    }
  }

  async #inTurn(denies: readonly Deny[]): Promise<DenyWritten> {
    const { provider, turns } = this.#deps;
    const signal = AbortSignal.timeout(WRITE_TIMEOUT_MS);
    try {
      return await turns.run(`aws-role:${this.#arn}`, signal, (isOurs) => this.#replace(denies, isOurs, signal));
    } catch (cause) {
      if (cause instanceof TurnLost) throw new ProviderError(provider, 'unavailable', `the role ${roleName(this.#arn)} was being written by another process`);
      throw toProviderError(provider, `denying sessions of ${roleName(this.#arn)}`, cause);
    }
  }

  async #replace(denies: readonly Deny[], isOurs: () => boolean, signal: AbortSignal): Promise<DenyWritten> {
    const { iam, policyName, now, provider } = this.#deps;
    await readRole(iam, this.#arn, provider, signal);
    const standing = await this.#read(signal);
    const next = withDenies(standing, denies, now());
    // All is denied already, and nothing has become superfluous: what was read says so.
    if (renderDenyPolicy(next) === renderDenyPolicy(standing)) return { appliedAtMs: now(), verifiedAtMs: now() };
    const document = renderDenyPolicy(this.#fitted(next, denies, await this.#roomFor(signal)));
    if (!isOurs()) throw new TurnLost('the turn ended before the write');
    const target = { RoleName: roleName(this.#arn), PolicyName: policyName };
    await (document === null
      ? iam.send(new DeleteRolePolicyCommand(target), { abortSignal: signal })
      : iam.send(new PutRolePolicyCommand({ ...target, PolicyDocument: document }), { abortSignal: signal }));
    const appliedAtMs = now();
    const found = await this.#read(signal);
    if (!denies.every((deny) => holds(found, deny))) throw new ProviderError(provider, 'unavailable', `the role ${roleName(this.#arn)} does not show the denies that were written`);
    return { appliedAtMs, verifiedAtMs: now() };
  }

  /** The policy within the room there is, as it is or widened. Throws `ProviderError` where neither fits. */
  #fitted(next: DenyPolicy, denies: readonly Deny[], room: number): DenyPolicy {
    const { now, onFull, provider, log } = this.#deps;
    if (sizeOf(next) <= room) return next;
    const widened = widen(next, denies, now());
    if (onFull === 'widen' && sizeOf(widened) <= room) {
      log.warn({ provider, role: this.#arn, room }, 'no room to deny single sessions: every session of this role that was issued until now is denied');
      return widened;
    }
    throw new ProviderError(provider, 'unavailable', `the role ${roleName(this.#arn)} has no room for another deny: ${sizeOf(next)} of ${room} characters; the session ends at its due time by its own policy`);
  }

  async #read(signal: AbortSignal): Promise<DenyPolicy> {
    const { iam, policyName, provider } = this.#deps;
    try {
      const { PolicyDocument: encoded = '' } = await iam.send(new GetRolePolicyCommand({ RoleName: roleName(this.#arn), PolicyName: policyName }), { abortSignal: signal });
      return parseDenyPolicy(decodeURIComponent(encoded));
    } catch (error) {
      if (awsCode(error)?.startsWith('NoSuchEntity') === true) return NO_DENIES;
      // Better no revocation for now, which is told, than the loss of what somebody else wrote there.
      if (error instanceof SyntaxError || error instanceof TypeError) throw new ProviderError(provider, 'refused', `the inline policy ${policyName} of ${roleName(this.#arn)} cannot be read; remove it by hand`);
      throw error;
    }
  }

  /** What the other inline policies of the role leave of AWS's quota, in characters. */
  async #roomFor(signal: AbortSignal): Promise<number> {
    const { iam, policyName } = this.#deps;
    const RoleName = roleName(this.#arn);
    const { PolicyNames: names = [] } = await iam.send(new ListRolePoliciesCommand({ RoleName }), { abortSignal: signal });
    const others = await Promise.all(
      names.filter((name) => name !== policyName).map(async (PolicyName) => {
        const { PolicyDocument: encoded = '' } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }), { abortSignal: signal });
        return decodeURIComponent(encoded).replaceAll(/\s/g, '').length;
      }),
    );
    return MAX_INLINE_POLICIES - others.reduce((sum, length) => sum + length, 0);
  }
}

const sizeOf = (policy: DenyPolicy): number => renderDenyPolicy(policy)?.length ?? 0;
