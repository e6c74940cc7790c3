/** For an option that may be given several times: keeps each value, in order. Starts from `[]`. */
export const repeatable = (value: string, before: readonly string[]): string[] => [...before, value];
