/** A line of a file without its line feed. `ended` is false for what stands after the last one. */
export interface FileLine {
  readonly text: string;
  /** Bytes in the file, line feed included. */
  readonly bytes: number;
  readonly ended: boolean;
}

const LINE_FEED = 0x0a;

/** Lines by line feed alone: a carriage return or a Unicode line separator inside a line is part of it. */
export async function* linesOf(chunks: AsyncIterable<unknown>): AsyncIterable<FileLine> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const data = Buffer.concat([rest, chunk as Buffer]);
    let from = 0;
    for (let end = data.indexOf(LINE_FEED); end !== -1; end = data.indexOf(LINE_FEED, from)) {
      yield { text: data.toString('utf8', from, end), bytes: end - from + 1, ended: true };
      from = end + 1;
    }
    rest = data.subarray(from);
  }
  if (rest.length > 0) yield { text: rest.toString('utf8'), bytes: rest.length, ended: false };
}
