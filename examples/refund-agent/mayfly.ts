import { readFileSync } from 'node:fs';

/** A credential as it is handed over, once. */
export interface Credential {
  readonly name: string;
  readonly lease_id: string;
  readonly expires_at: string;
  readonly revocability: string;
  readonly secret: Readonly<Record<string, string>>;
}

export interface TaskAnswer {
  readonly task: { readonly id: string; readonly state: string; readonly expires_at: string };
  readonly credentials: readonly Credential[];
}

/** All an agent needs of Mayfly: six calls over HTTP, with the token that proves who it is. */
export class Mayfly {
  readonly #url: string;
  readonly #tokenFile: string;

  constructor(url: string, tokenFile: string) {
    this.#url = url;
    this.#tokenFile = tokenFile;
  }

  /** Says who acts, for what purpose, on which data and for how long. The key makes it safe to send again. */
  declare(declaration: object, idempotencyKey: string): Promise<TaskAnswer> {
    return this.#post('/v1/tasks', declaration, { 'Idempotency-Key': idempotencyKey });
  }

  /** One more credential of the task, for one tool call. */
  async credential(task: string, request: { name: string; ttl_seconds: number; tool_call: { id: string; tool: string } }): Promise<Credential> {
    const { credentials } = await this.#post(`/v1/tasks/${task}/credentials`, request, { 'Idempotency-Key': request.tool_call.id });
    const [credential] = credentials;
    if (credential === undefined) throw new Error(`Mayfly granted no ${request.name}`);
    return credential;
  }

  /** Tells what became of a tool call; it goes on the record as the agent's own word. */
  report(task: string, call: { id: string; tool: string; outcome: 'succeeded' | 'failed'; lease_id?: string; note?: string }): Promise<TaskAnswer> {
    return this.#post(`/v1/tasks/${task}/tool-calls`, call);
  }

  extend(task: string, ttlSeconds: number): Promise<TaskAnswer> {
    return this.#post(`/v1/tasks/${task}/extend`, { ttl_seconds: ttlSeconds });
  }

  /** Ends every credential of the task, now. */
  complete(task: string, outcome: 'succeeded' | 'failed', note: string): Promise<TaskAnswer> {
    return this.#post(`/v1/tasks/${task}/complete`, { outcome, note });
  }

  async #post(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<TaskAnswer> {
    // Read each time: whoever issues the token writes a fresh one before the old one ends.
    const token = readFileSync(this.#tokenFile, 'utf8').trim();
    const response = await fetch(new URL(path, this.#url), {
      method: 'POST',
      headers: { ...headers, Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = (await response.json()) as TaskAnswer & { detail?: string; code?: string };
    if (!response.ok) throw new Error(`Mayfly answered ${response.status} ${answer.code ?? ''}: ${answer.detail ?? ''}`);
    return answer;
  }
}
