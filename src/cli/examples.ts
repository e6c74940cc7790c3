/** How a command is used, shown before its options: most people read no further. A line that begins with two spaces goes on from the one before. */
export function examples(...lines: readonly string[]): string {
  const commands = lines.filter((line) => !line.startsWith(' ')).length;
  return `${commands > 1 ? 'Examples' : 'Example'}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
