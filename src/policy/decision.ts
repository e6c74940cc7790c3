import type { DecisionSummary, Evidence } from '../task/task.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { EpochMs } from '../core/time.ts';
import type { Revocability } from '../ledger/lease.ts';

/** What policy can be asked. Each names a Cedar action. */
export type PolicyAction = 'mint' | 'declare_for' | 'delegate' | 'extend';

/** An agent as the operator's register knows it. */
export interface AgentFacts {
  readonly registered: boolean;
  /** Empty where it is not registered. */
  readonly owner: string;
  readonly purposes: readonly string[];
  readonly environments: readonly string[];
  /** Whether its review date has passed. */
  readonly reviewOverdue: boolean;
}

/** All that a decision may rest on. Everything here ends up in the input digest. */
export interface PolicyQuestion {
  readonly action: PolicyAction;
  readonly principal: WorkloadId;
  /** What the operator's register of agents says of the principal. */
  readonly agentFacts: AgentFacts;
  /** For `declare_for` and `delegate`: the subject of the agent who is to act. Who vouches for it is seen at its claim. */
  readonly forAgent?: string;
  /** The credential asked for. */
  readonly credential: {
    readonly name: string;
    readonly provider: string;
    readonly kind: string;
    readonly revocability: Revocability;
    readonly owner: string;
  };
  readonly purpose: string;
  readonly actions: readonly string[];
  readonly dataClasses: readonly string[];
  readonly evidence: Evidence;
  /** Who vouched for the declaration where that is not the agent itself: the subject of an orchestrator. */
  readonly vouchedBy: string | null;
  /** The person on whose behalf the agent acts, as a verified token of theirs says. */
  readonly subject: string | null;
  readonly approvals: number;
  /** The highest risk among the actions, as the operator rates them: 0 low to 3 critical. */
  readonly risk: number;
  readonly ticket: string | null;
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly ttlSeconds: number;
  readonly delegationDepth: number;
  readonly delegationChain: readonly string[];
  /** The tool that the credential is for, where it is an extra one for a tool call. */
  readonly tool: string | null;
  /** Data classes that this task or any other of its tree was granted credentials for already. */
  readonly touched: readonly string[];
  readonly environment: string;
  readonly senderBound: boolean;
  /** Counters of this agent, this request not included. */
  readonly liveLeases: number;
  readonly grantsLastHour: number;
  readonly purposeGrantsLastHour: number;
  readonly denialsInARow: number;
  readonly nowMs: EpochMs;
}

/** What policy answered to one question. */
export interface Decision extends DecisionSummary {
  /** Reasons a policy author chose to publish (`@deny_reason`); empty on a permit. */
  readonly reasons: readonly string[];
  /** Set where policy could not be asked properly: the answer is then a deny, and somebody must look. */
  readonly fault: string | null;
}

/** The closed lists the operator defines; all come from the policy schema. */
export interface Vocabulary {
  readonly purposes: ReadonlySet<string>;
  readonly actions: ReadonlySet<string>;
  readonly dataClasses: ReadonlySet<string>;
}

/** Decides; deny by default, and on any error. Never throws. */
export interface PolicyEngine {
  /** `sha256:` digest of the schema and all policies in force. */
  readonly version: string;
  readonly vocabulary: Vocabulary;
  decide(question: PolicyQuestion): Decision;
}

/** An agent that nobody registered. */
export const UNREGISTERED: AgentFacts = { registered: false, owner: '', purposes: [], environments: [], reviewOverdue: false };
