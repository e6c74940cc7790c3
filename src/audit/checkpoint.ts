/** What a deployment has signed of its log (c2sp.org/tlog-checkpoint). */
export interface Checkpoint {
  /** Names the log: one for each deployment. */
  readonly origin: string;
  /** Records. */
  readonly size: number;
  /**
   * Root of the Merkle tree over them, hexadecimal. In checkpoints of before there was a tree: hash of the last of them. No value can be
   * both, but where there is one record: then they are the same.
   */
  readonly hash: string;
}

/** The name of a deployment's log, and of the key that signs for it. */
export const auditOrigin = (deploymentId: string): string => `${deploymentId}/mayfly-audit`;

/** The text that is signed: origin, records, and the root in base64, a line each. */
export const checkpointText = ({ origin, size, hash }: Checkpoint): string => `${origin}\n${size}\n${Buffer.from(hash, 'hex').toString('base64')}\n`;

/** What a signed text says; undefined when it is no checkpoint. Further lines are others' extensions, and passed over. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [, origin, size, hash] = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n(?:[^\n]+\n)*$/.exec(text) ?? [];
  return origin === undefined || hash === undefined ? undefined : { origin, size: Number(size), hash: Buffer.from(hash, 'base64').toString('hex') };
}
