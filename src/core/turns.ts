/** Work that only one process at a time may do. */
export interface Turns {
  /**
   * Runs `work` while no other process runs work of the same name, waiting for its turn as long as `signal` allows. A turn
   * ends by itself after a while: `work` asks `isOurs` before what cannot be undone. Throws `TurnLost` where the turn could
   * not be had, and what `work` throws.
   */
  run<T>(name: string, signal: AbortSignal, work: (isOurs: () => boolean) => Promise<T>): Promise<T>;
}

/** The turn could not be had in time, or ended before the work did. */
export class TurnLost extends Error {
  override readonly name = 'TurnLost';
}
