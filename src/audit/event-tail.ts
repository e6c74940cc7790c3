import type { FeedEntry } from './event-feed.ts';

/** An entry, and whether something is missing before it. */
export interface TailEntry extends FeedEntry {
  readonly gap: boolean;
}

/**
 * The newest events, once for the whole process. Every reader has a place in it, a number, and takes entries at its own
 * pace: what a slow one has not taken is not kept for it. Places only go up; one below `first` has been left behind.
 */
export class EventTail {
  readonly #capacity: number;
  #entries: TailEntry[] = [];
  #first = 0;
  #headId: string;

  /** `capacity`: entries kept at least; twice as many for a moment. `headId`: where the feed stands. */
  constructor(capacity: number, headId = '0-0') {
    this.#capacity = capacity;
    this.#headId = headId;
  }

  /** The place of the oldest entry that is kept. */
  get first(): number {
    return this.#first;
  }

  /** The place of the next entry to come. */
  get end(): number {
    return this.#first + this.#entries.length;
  }

  /** Id of the newest entry, whether or not it is kept. */
  get headId(): string {
    return this.#headId;
  }

  at(place: number): TailEntry | undefined {
    return this.#entries[place - this.#first];
  }

  push(entry: FeedEntry): void {
    // What came before the first entry of all is not known; who resumes has seen it.
    const isKnown = this.#entries.length > 0 || this.#headId !== '0-0';
    this.#entries.push({ ...entry, gap: isKnown && entry.after !== this.#headId });
    this.#headId = entry.id;
    if (this.#entries.length < 2 * this.#capacity) return;
    this.#entries = this.#entries.slice(this.#capacity);
    this.#first += this.#capacity;
  }

  /** The place after the entry with this id; undefined when it is no longer, or never was, in reach. */
  placeAfter(id: string): number | undefined {
    if (id === this.#headId) return this.end;
    if (id === this.#entries[0]?.after) return this.#first;
    const index = this.#entries.findIndex((entry) => entry.id === id);
    return index === -1 ? undefined : this.#first + index + 1;
  }

  /** Forgets everything: every reader is left behind, and told so. */
  reset(headId = '0-0'): void {
    this.#first = this.end + 1;
    this.#entries = [];
    this.#headId = headId;
  }
}
