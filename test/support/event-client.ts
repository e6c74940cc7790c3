import { until } from './until.ts';

export interface ReceivedEvent {
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>> & { readonly task?: string | null; readonly leases?: readonly string[] };
}

/** A reader of `/v1/events` as any program would be one. */
export class EventClient {
  readonly events: ReceivedEvent[] = [];
  /** Everything as it came. */
  text = '';
  lastId: string | undefined;
  ended = false;
  readonly response: Response;
  readonly #abort: AbortController;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
  }

  /** Opens a stream; throws the status when it is refused. */
  static async open(url: string, token: string, lastEventId?: string): Promise<EventClient> {
    const abort = new AbortController();
    const response = await fetch(`${url}/v1/events`, {
      headers: { Authorization: `Bearer ${token}`, ...(lastEventId === undefined ? {} : { 'Last-Event-ID': lastEventId }) },
      signal: abort.signal,
    });
    if (!response.ok) throw new Error(`the stream was refused: ${response.status} ${await response.text()}`);
    const client = new EventClient(response, abort);
    void client.#read();
    // The first words say where the stream stands.
    await until(() => client.text.includes('\n\n'), { what: 'the stream began' });
    return client;
  }

  ofTask(task: string): ReceivedEvent[] {
    return this.events.filter(({ data }) => data.task === task);
  }

  async has(type: string, task?: string): Promise<void> {
    await until(() => this.events.some((event) => event.type === type && (task === undefined || event.data.task === task)), { what: `the event ${type}` });
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let rest = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body ?? []) {
        const text = decoder.decode(chunk as Uint8Array, { stream: true });
        this.text += text;
        const blocks = (rest + text).split('\n\n');
        rest = blocks.pop() ?? '';
        blocks.forEach((block) => this.#take(block));
      }
    } catch {
      // Cut off.
    }
    this.ended = true;
  }

  #take(block: string): void {
    const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string]));
    this.lastId = fields['id'] ?? this.lastId;
    if (fields['data'] === undefined) return;
    this.events.push({ id: this.lastId ?? '', type: fields['event'] ?? 'message', data: JSON.parse(fields['data']) as ReceivedEvent['data'] });
  }
}
