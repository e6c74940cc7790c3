import { shardOf, type TaskId } from '../core/ids.ts';
import { Problem } from '../core/problem.ts';
import type { Workload, WorkloadId } from '../identity/caller.ts';
import { evidenceRefused, type EvidenceVerifier } from '../identity/evidence-verifier.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { invalidRequest, type Declaration } from '../task/declaration.ts';
import type { Evidence } from '../task/task.ts';
import { callerFacts } from './caller-facts.ts';
import { declarationDigest, unsaidLifetimes } from '../task/vouched-declaration.ts';

/** Whose word a declaration rests on. */
export interface Word {
  readonly evidence: Evidence;
  /** The orchestrator that signed it: policy must let it declare for the agent. */
  readonly orchestrator: WorkloadId | null;
  /** The person on whose behalf, as a token of theirs says. */
  readonly user: WorkloadId | null;
}

export interface JudgeEvidenceDeps {
  readonly evidence: EvidenceVerifier;
  readonly ledger: Pick<Ledger, 'useOnce' | 'recordEvent'>;
}

/** Who and what a declaration is about, once its defaults are known. */
interface Parties {
  readonly agent: WorkloadId;
  readonly declarer: WorkloadId;
  /** Who calls, with what its token says besides. */
  readonly caller: Workload;
  /** The id that the task would have. */
  readonly taskId: TaskId;
}

const OWN_WORD: Word = { evidence: 'self_declared', orchestrator: null, user: null };

/**
 * Whose word the declaration rests on: the declarer's own, unless it brings somebody else's. What it brings must be genuine and
 * for this very declaration; a signed one is used up by this, whatever becomes of the task. Throws `evidence_refused`, on the
 * record, `invalid_request`, `identity_unavailable`, `ledger_unavailable`.
 */
export async function judgeEvidence(declaration: Declaration, parties: Parties, deps: JudgeEvidenceDeps): Promise<Word> {
  const { evidence } = declaration;
  if (evidence === undefined) return OWN_WORD;
  try {
    return evidence.kind === 'orchestrator_signed' ? await signed(declaration, evidence.token, parties, deps) : await consented(declaration, evidence.token, parties, deps);
  } catch (error) {
    if (error instanceof Problem && error.code === 'evidence_refused') {
      const { taskId, agent, declarer, caller } = parties;
      const facts = { ...callerFacts(caller), purpose: declaration.purpose, evidence: evidence.kind, reason: error.errors[0]?.detail ?? error.message };
      await deps.ledger.recordEvent({ shard: shardOf(taskId), type: 'evidence.refused', task: null, agent, by: declarer, facts });
    }
    throw error;
  }
}

async function signed(declaration: Declaration, token: string, { agent }: Parties, { evidence, ledger }: JudgeEvidenceDeps): Promise<Word> {
  requireLifetimes(declaration);
  const { by, digest, jti, overAtMs } = await evidence.signedDeclaration(token);
  if (by.subject === agent.subject) throw evidenceRefused("it is the agent's own word; somebody else has to vouch for it");
  if (digest !== declarationDigest(declaration, agent)) throw evidenceRefused('it is for another declaration');
  if (!(await ledger.useOnce(JSON.stringify(['declaration', by.issuer, jti]), overAtMs))) throw evidenceRefused('it was used before');
  return { evidence: 'orchestrator_signed', orchestrator: by, user: null };
}

async function consented(declaration: Declaration, token: string, { agent }: Parties, { evidence }: JudgeEvidenceDeps): Promise<Word> {
  const { user, mayAct, digest, consent } = await evidence.userConsent(token);
  if (user.subject === agent.subject) throw evidenceRefused('the user and the agent are the same');
  if (mayAct !== undefined && !namesActor(mayAct, agent)) throw evidenceRefused('its may_act names another actor');
  if (digest !== undefined) {
    requireLifetimes(declaration);
    if (digest !== declarationDigest(declaration, agent)) throw evidenceRefused('it is for another declaration');
  }
  if (mayAct === undefined && digest === undefined && consent === 'bound') throw evidenceRefused('it names neither the agent (may_act) nor this declaration (declaration_digest)');
  return { evidence: 'user_consented', orchestrator: null, user };
}

/** Who gave the word, with who vouches for that name: the task keeps the name alone. */
export const wordFacts = ({ orchestrator, user }: Word): Readonly<Record<string, unknown>> => ({
  ...(orchestrator === null ? {} : { vouched_by_issuer: orchestrator.issuer }),
  ...(user === null ? {} : { subject_issuer: user.issuer }),
});

/** RFC 8693 section 4.4: `may_act` says by its claims who may become the actor. All that it says must be true of the agent. */
function namesActor(mayAct: unknown, agent: WorkloadId): boolean {
  if (typeof mayAct !== 'object' || mayAct === null || !('sub' in mayAct) || mayAct.sub !== agent.subject) return false;
  return !('iss' in mayAct) || mayAct.iss === agent.issuer;
}

function requireLifetimes(declaration: Declaration): void {
  const faults = unsaidLifetimes(declaration);
  if (faults.length > 0) throw invalidRequest(faults);
}
