import { digestOf } from '../core/canonical-json.ts';
import type { DecisionId } from '../core/ids.ts';
import type { EpochMs } from '../core/time.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { AgentFacts, Decision, PolicyAction, PolicyEngine, PolicyQuestion } from '../policy/decision.ts';
import type { ExternalAnswer } from '../policy/external-policy.ts';
import { jointAnswer } from '../policy/joint-answer.ts';
import type { ShadowAnswer } from '../policy/shadow-policies.ts';
import type { DecisionSummary, Evidence } from '../task/task.ts';
import type { CatalogEntry } from './credential-catalog.ts';

/** What every credential of a declaration is decided on together. */
export interface DecisionBasis {
  readonly agent: WorkloadId;
  readonly purpose: string;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly evidence: Evidence;
  readonly vouchedBy: string | null;
  readonly subject: string | null;
  /** Humans who approved exactly this; none when absent. */
  readonly approvals?: number;
  readonly ticket: string | null;
  /** The agents the authority came through, from the root of the tree to the parent; empty for a task that nobody delegated. */
  readonly chain: readonly WorkloadId[];
  /** The tool that an extra credential is for. */
  readonly tool?: string | null;
  /** Whether the caller proved possession of a key that its identity is bound to. */
  readonly senderBound: boolean;
  /** Data classes that the tree of the task touched before. */
  readonly touched: readonly string[];
  readonly environment: string;
  /** The highest among the actions, 0 to 3. */
  readonly risk: number;
  readonly liveLeases: number;
  readonly grantsLastHour: number;
  readonly purposeGrantsLastHour: number;
  readonly denialsInARow: number;
  readonly nowMs: EpochMs;
  readonly factsOf: FactsOf;
}

/** What the register of agents says of a principal. */
export type FactsOf = (principal: WorkloadId) => AgentFacts;

export interface WantedCredential {
  readonly entry: CatalogEntry;
  readonly ttlSeconds: number;
  readonly params: Readonly<Record<string, string | number | boolean>>;
}

/** One answer for all credentials, and each credential's own for the record. */
export interface JointDecision {
  readonly summary: DecisionSummary;
  readonly reasons: readonly string[];
  /** What the register said of the task's agent. */
  readonly agentFacts: AgentFacts;
  readonly parts: readonly { readonly credential: string; readonly action: PolicyAction; readonly question: PolicyQuestion; readonly decision: Decision }[];
  /** What the shadow policies would have answered; null where there are none. It decides nothing. */
  readonly shadow?: ShadowAnswer | null;
  /** What another decision point said, where one was asked. */
  readonly external?: ExternalAnswer;
}

/** What is asked of policy, and about whom. */
export interface Ask {
  readonly action: PolicyAction;
  /** Who needs the permission; the task's agent when absent. */
  readonly principal?: WorkloadId;
  /** Who is to act, where that is somebody else: a subject. */
  readonly forAgent?: string;
  /** The principal's, where that is not the task's agent. */
  readonly denialsInARow?: number;
}

const MINT: Ask = { action: 'mint' };

/**
 * Asks policy about each credential afresh. Every question must be answered with a permit: one denial denies, one that
 * waits for a human makes all wait. Pure but for the clock reading and counters it is given.
 */
export function decideCredentials(
  engine: PolicyEngine,
  id: DecisionId,
  basis: DecisionBasis,
  wanted: readonly WantedCredential[],
  asks: readonly Ask[] = [MINT],
): JointDecision {
  const questions = asks.flatMap((ask) => wanted.map((credential) => ({ ask, ...credential })));
  const parts = questions.map(({ ask, entry, ttlSeconds, params }) => {
    const question: PolicyQuestion = {
      action: ask.action,
      principal: ask.principal ?? basis.agent,
      agentFacts: basis.factsOf(ask.principal ?? basis.agent),
      ...(ask.forAgent === undefined ? {} : { forAgent: ask.forAgent }),
      credential: {
        name: entry.name,
        provider: entry.provider.name,
        kind: entry.capabilities.kind,
        revocability: entry.capabilities.revocability,
        owner: entry.config.owner,
      },
      purpose: basis.purpose,
      actions: basis.actions,
      dataClasses: basis.dataClasses,
      evidence: basis.evidence,
      vouchedBy: basis.vouchedBy,
      subject: basis.subject,
      approvals: basis.approvals ?? 0,
      risk: basis.risk,
      ticket: basis.ticket,
      params,
      context: basis.context,
      ttlSeconds,
      delegationDepth: basis.chain.length,
      delegationChain: basis.chain.map(({ subject }) => subject),
      tool: basis.tool ?? null,
      touched: basis.touched,
      environment: basis.environment,
      senderBound: basis.senderBound,
      liveLeases: basis.liveLeases,
      grantsLastHour: basis.grantsLastHour,
      purposeGrantsLastHour: basis.purposeGrantsLastHour,
      denialsInARow: ask.denialsInARow ?? basis.denialsInARow,
      nowMs: basis.nowMs,
    };
    return { credential: entry.name, action: ask.action, question, decision: engine.decide(question) };
  });
  const { reasons, ...answer } = jointAnswer(parts.map(({ decision }) => decision));
  return {
    summary: {
      id,
      ...answer,
      policyVersion: engine.version,
      inputDigest: digestOf(parts.map(({ credential, action, decision }) => [credential, action, decision.inputDigest])),
    },
    reasons,
    agentFacts: basis.factsOf(basis.agent),
    parts,
  };
}
