import type { DecisionSummary, Evidence } from '../task/task.ts';
import type { WorkloadId } from '../identity/caller.ts';
import type { EpochMs } from '../core/time.ts';
import type { Revocability } from '../ledger/lease.ts';

/** What policy can be asked. Each names a Cedar action. */
export type PolicyAction = 'mint' | 'declare_for' | 'delegate' | 'extend';

/** All that a decision may rest on. Everything here ends up in the input digest. */
export interface PolicyQuestion {
  readonly action: PolicyAction;
  readonly principal: WorkloadId;
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
  readonly approvals: number;
  readonly ticket: string | null;
  readonly params: Readonly<Record<string, string | number | boolean>>;
  readonly context: Readonly<Record<string, string | number | boolean>>;
  readonly ttlSeconds: number;
  readonly delegationDepth: number;
  readonly delegationChain: readonly string[];
  readonly environment: string;
  readonly senderBound: boolean;
  /** Counters of this agent, this request not included. */
  readonly liveLeases: number;
  readonly grantsLastHour: number;
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
