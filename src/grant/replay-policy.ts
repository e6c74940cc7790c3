import { z } from 'zod';
import { Problem } from '../core/problem.ts';
import { createCedarEngine } from '../policy/cedar-engine.ts';
import type { CompiledPolicies } from '../policy/compile-policies.ts';
import { replayDecisions, type ReplayReport } from '../policy/replay-decisions.ts';
import { instant, parse } from '../task/declaration.ts';
import { draftEngine, draftShape, hasDraft } from './draft-policies.ts';

/** At once and in one answer; the command line has no such bounds. */
const MAX_DECISIONS = 20_000;
const MAX_GROUPS = 200;

/** What to ask again, and of which set: a draft, or the one in force. */
export const replayRequest = z.strictObject({
  since: instant.optional().describe('decisions at or after it'),
  until: instant.optional().describe('decisions before it'),
  agent: z.string().min(1).max(2_048).optional().describe('a subject'),
  purpose: z.string().min(1).max(64).optional(),
  examples: z.int().min(0).max(20).default(3).describe('decisions named for each difference'),
  ...draftShape,
});

export type ReplayRequest = z.infer<typeof replayRequest>;
export const parseReplay = (body: unknown): ReplayRequest => parse(replayRequest, body);

export interface PolicyReplayDeps {
  readonly policy: { readonly compiled: CompiledPolicies };
}

/** Replays the record against a set, one replay at a time in a process. */
export class PolicyReplay {
  readonly #deps: PolicyReplayDeps;
  #running = false;

  constructor(deps: PolicyReplayDeps) {
    this.#deps = deps;
  }

  /** Throws `invalid_request` for a draft that does not compile, `limit_exceeded` while another replay runs, or what the file system says. */
  async run(auditFile: string, asked: ReplayRequest): Promise<ReplayReport & { readonly draft: boolean }> {
    if (this.#running) throw new Problem('limit_exceeded', 'another replay is running on this process; ask again when it is done', { retryAfterSeconds: 5 });
    this.#running = true;
    try {
      const { compiled } = this.#deps.policy;
      const { since, until, agent, purpose, examples } = asked;
      // The engine in force could be replaced in the middle; its set, taken once, cannot.
      const engine = hasDraft(asked) ? draftEngine(asked, compiled.schemaText, (draft) => createCedarEngine(draft, 'replay')) : createCedarEngine(compiled, 'replay');
      const filter = {
        ...(since === undefined ? {} : { sinceMs: Date.parse(since) }),
        ...(until === undefined ? {} : { untilMs: Date.parse(until) }),
        ...(agent === undefined ? {} : { agent }),
        ...(purpose === undefined ? {} : { purpose }),
      };
      const report = await replayDecisions(engine, auditFile, { filter, examples, maxGroups: MAX_GROUPS, maxDecisions: MAX_DECISIONS });
      return { ...report, draft: hasDraft(asked) };
    } finally {
      this.#running = false;
    }
  }
}
