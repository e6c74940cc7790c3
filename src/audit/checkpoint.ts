/** How far a chain had come when it was signed. */
export interface Checkpoint {
  /** Names the log: one for each deployment. */
  readonly origin: string;
  readonly seq: number;
  /** Hash of record `seq`, hexadecimal. */
  readonly hash: string;
}

/** The name of a deployment's log, and of the key that signs for it. */
export const auditOrigin = (deploymentId: string): string => `${deploymentId}/mayfly-audit`;

/** The text that is signed: origin, records, and the head's hash in base64, a line each. */
export const checkpointText = ({ origin, seq, hash }: Checkpoint): string => `${origin}\n${seq}\n${Buffer.from(hash, 'hex').toString('base64')}\n`;

/** What a signed text says; undefined when it is no checkpoint. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [, origin, seq, hash] = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/.exec(text) ?? [];
  return origin === undefined || hash === undefined ? undefined : { origin, seq: Number(seq), hash: Buffer.from(hash, 'base64').toString('hex') };
}
