// Where the bars of the timeline stand: what is late first, then a pile for each minute, the providers on top of each other. Pure.

export interface Bar {
  /** Left edge in minutes; the late ones stand before the first. */
  readonly minute: number;
  /** Of the providers, in their order; null for what is late. */
  readonly series: number | null;
  readonly from: number;
  readonly to: number;
}

export interface Bars {
  readonly bars: readonly Bar[];
  /** The top of the scale: 2, 4, 6 or 10 times a power of ten, and no less than 4: half of it is a whole number. */
  readonly top: number;
}

/** The minute before now, where what is late stands. */
export const LATE_MINUTE = -2;

/** @param perMinute for each provider, how many fall due in each minute from now */
export function barsOf(perMinute: readonly (readonly number[])[], late: number): Bars {
  const bars: Bar[] = late === 0 ? [] : [{ minute: LATE_MINUTE, series: null, from: 0, to: late }];
  const piles = new Map<number, number>();
  perMinute.forEach((due, series) => {
    due.forEach((number, minute) => {
      if (number === 0) return;
      const from = piles.get(minute) ?? 0;
      piles.set(minute, from + number);
      bars.push({ minute, series, from, to: from + number });
    });
  });
  return { bars, top: roundUp(Math.max(4, late, ...piles.values())) };
}

function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [2, 4, 6, 10].map((times) => times * power).find((step) => step >= value) ?? value;
}
