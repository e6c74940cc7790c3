import type { AuditEvent } from './audit-event.ts';
import { overSegments, type AuditSegment } from './audit-segments.ts';
import { textOf } from './event-facts.ts';
import { linesForward, statedRecord } from './read-range.ts';
import { refusalOf, storyOf, type RefusalStory, type TaskStory } from './task-story.ts';

/** Whose story, and of when. */
export interface AgentStoryAsked {
  /** A subject, as the agent's token names it. */
  readonly agent: string;
  readonly sinceMs: number;
  /** Exclusive. */
  readonly untilMs: number;
  /** How long before `since` a task that was alive then can have been declared. */
  readonly longestTaskMs: number;
}

/** A task that was alive at some time in between, or a refusal. `seq`: the record that began it. */
export type AgentStoryItem = ({ readonly kind: 'task'; readonly seq: number } & TaskStory) | ({ readonly kind: 'refusal'; readonly seq: number } & RefusalStory);

export interface AgentStory {
  /** In the order they began. */
  readonly items: readonly AgentStoryItem[];
  /** The last item of the page, where there are more. */
  readonly nextSeq: number | null;
  /** When the oldest record that is here was sealed: of what was before, nothing is known. Null where there is none. */
  readonly recordBeginsAtMs: number | null;
}

/** A task while it is being read. */
interface OpenTask {
  readonly seq: number;
  readonly declared: AuditEvent;
  readonly events: AuditEvent[];
  readonly children: AuditEvent[];
  ended: boolean;
}

/**
 * What an agent was authorised to do in a time, and why, and what it was refused: each task of its own that was alive then, from
 * its declaration to the end of its last lease, also where these lie outside of that time. A page of `limit` items, from
 * the record after `afterSeq`. What other agents did with what it handed on is their story. Throws what the file system says.
 */
export function readAgentStory(path: string, asked: AgentStoryAsked, page: { readonly afterSeq?: number | undefined; readonly limit: number }): Promise<AgentStory> {
  return overSegments(path, (segments) => read(segments, asked, page));
}

async function read(segments: readonly AuditSegment[], asked: AgentStoryAsked, { afterSeq = 0, limit }: { readonly afterSeq?: number | undefined; readonly limit: number }): Promise<AgentStory> {
  const { agent, sinceMs, untilMs, longestTaskMs } = asked;
  const word = JSON.stringify(agent);
  const found = new StoryCollector(asked, limit);
  // On past its end, until the last of what was alive has ended.
  const lines = linesForward(segments, { sinceMs: sinceMs - longestTaskMs, untilMs, afterSeq, goOn: () => found.isOpen });
  for await (const line of lines) {
    if (found.isComplete) break;
    if (!line.includes(word)) continue;
    const record = statedRecord(line);
    if (record !== undefined && record.seq > afterSeq && 'id' in record.event) found.take(record.seq, record.event);
  }
  const items = found.items();
  const shown = items.slice(0, limit);
  return { items: shown, nextSeq: found.isFull || items.length > limit ? (shown.at(-1)?.seq ?? null) : null, recordBeginsAtMs: segments[0]?.firstSealedAtMs ?? null };
}

/** Gathers what belongs to a page, record by record, oldest first. */
class StoryCollector {
  readonly #asked: AgentStoryAsked;
  readonly #limit: number;
  readonly #tasks = new Map<string, OpenTask>();
  readonly #refusals: { readonly seq: number; readonly event: AuditEvent }[] = [];
  /** Tasks whose end was not read yet. */
  #open = 0;
  /** Something more began than fits the page. */
  isFull = false;

  constructor(asked: AgentStoryAsked, limit: number) {
    this.#asked = asked;
    this.#limit = limit;
  }

  get isOpen(): boolean {
    return this.#open > 0;
  }

  /** Nothing that follows belongs to the page. */
  get isComplete(): boolean {
    return this.isFull && !this.isOpen;
  }

  take(seq: number, event: AuditEvent): void {
    if (event.type === 'task.declared') this.#tasks.get(textOf(event.facts, 'parent') ?? '')?.children.push(event);
    if (event.agent?.subject !== this.#asked.agent) return;
    const known = event.task === null ? undefined : this.#tasks.get(event.task);
    if (known === undefined) this.#begin(seq, event);
    else this.#goOn(known, event);
  }

  items(): AgentStoryItem[] {
    const tasks = [...this.#tasks.values()].map(({ seq, declared, events, children }) => ({ kind: 'task' as const, seq, ...storyOf(declared, events, children) }));
    const refusals = this.#refusals.flatMap(({ seq, event }) => refusalOf(event).map((refusal) => ({ kind: 'refusal' as const, seq, ...refusal })));
    return [...tasks, ...refusals].sort((a, b) => a.seq - b.seq);
  }

  #begin(seq: number, event: AuditEvent): void {
    const { sinceMs, untilMs } = this.#asked;
    const atMs = Date.parse(event.at);
    const { task } = event;
    const declared = event.type === 'task.declared' ? task : null;
    const refuses = task === null && atMs >= sinceMs && refusalOf(event).length > 0;
    if (atMs >= untilMs || (declared === null && !refuses)) return;
    // Before that time nobody can say how many of those that began will still be there.
    if (this.#tasks.size + this.#refusals.length >= this.#limit && atMs >= sinceMs) {
      this.isFull = true;
      return;
    }
    if (declared === null) {
      this.#refusals.push({ seq, event });
      return;
    }
    this.#tasks.set(declared, { seq, declared: event, events: [event], children: [], ended: false });
    this.#open += 1;
  }

  #goOn(known: OpenTask, event: AuditEvent): void {
    known.events.push(event);
    if (event.type !== 'task.ended' || known.ended) return;
    known.ended = true;
    this.#open -= 1;
    // Over before the time that was asked about.
    if (Date.parse(event.at) < this.#asked.sinceMs && event.task !== null) this.#tasks.delete(event.task);
  }
}
