import { ProviderError } from '../credential-provider.ts';
import type { RevokeContext } from './end-at-target.ts';
import * as answers from './vault-answers.ts';
import type { VaultHandle } from './vault-handle.ts';
import { HEALTH_PATH } from './vault-login.ts';

/** The target as it is now, asked once for a batch: is it the one recorded at mint? */
export class RecordedTarget {
  readonly #context: RevokeContext;
  readonly #signal: AbortSignal;
  readonly #mounts = new Map<string, Promise<string>>();
  #cluster: Promise<string> | undefined;

  constructor(context: RevokeContext, signal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
  }

  /** Throws `ProviderError` when the handle was recorded at another target: there, "gone" would mean nothing. */
  async mustBe(handle: VaultHandle): Promise<void> {
    const { provider, namespace } = this.#context;
    this.#cluster ??= this.#readCluster();
    const differs =
      handle.namespace !== namespace ? 'namespace'
      : handle.cluster_id !== (await this.#cluster) ? 'cluster'
      : handle.mount !== null && handle.mount_accessor !== (await this.#accessorOf(handle.mount)) ? 'mount'
      : null;
    if (differs !== null) throw new ProviderError(provider, 'refused', `the credential was minted in another ${differs}; it cannot be ended here`);
  }

  async #readCluster(): Promise<string> {
    const { client } = this.#context;
    return (await client.request({ method: 'GET', path: HEALTH_PATH, answer: answers.health, signal: this.#signal })).cluster_id;
  }

  #accessorOf(mount: string): Promise<string> {
    const known = this.#mounts.get(mount) ?? this.#readAccessor(mount);
    this.#mounts.set(mount, known);
    return known;
  }

  async #readAccessor(mount: string): Promise<string> {
    const { session } = this.#context;
    return (await session.call({ method: 'GET', path: `sys/mounts/${mount}`, answer: answers.mount, signal: this.#signal })).data.accessor;
  }
}
