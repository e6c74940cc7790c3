import { Option, type Command } from 'commander';
import { print, printJson, table, type Cell } from './output.ts';

/** What every command that prints data takes: one JSON document, stable for scripts, in place of words. */
export const jsonOption = (): Option => new Option('--json', 'one JSON document, for scripts');

/** How a list is printed: for people, as one JSON document, or as a JSON object a line. */
export type ListForm = 'table' | 'json' | 'jsonl';

export interface ListFlags {
  readonly output: ListForm;
  readonly json?: boolean;
}

/** Gives a command that lists things its `--output` and `--json`. */
export const withListOutput = (command: Command): Command =>
  command
    .addOption(new Option('-o, --output <form>', 'json is one document, jsonl an item a line').choices(['table', 'json', 'jsonl']).default('table'))
    .addOption(new Option('--json', 'the same as --output json'));

/** The form that the flags ask for. */
export const listFormOf = ({ output, json }: ListFlags): ListForm => (json === true ? 'json' : output);

export interface WatchFlags {
  readonly output: 'lines' | 'jsonl';
  readonly json?: boolean;
}

/** Gives a command that goes on telling until it is stopped its `--output` and `--json`. */
export const withWatchOutput = (command: Command): Command =>
  command
    .addOption(new Option('-o, --output <form>', 'jsonl is a JSON object a line').choices(['lines', 'jsonl']).default('lines'))
    .addOption(new Option('--json', 'the same as --output jsonl'));

/** Whether each is told as the broker answers it. */
export const inJson = ({ output, json }: WatchFlags): boolean => json === true || output === 'jsonl';

export interface ListColumns<Item> {
  readonly header: readonly string[];
  readonly row: (item: Item) => readonly Cell[];
  /** Said in place of an empty table. */
  readonly none: string;
}

/** Prints a list in the form that was asked for. `document` is what `--output json` prints: the broker's own answer. */
export function printList<Item>(flags: ListFlags, document: { readonly items: readonly Item[] }, { header, row, none }: ListColumns<Item>): void {
  const form = listFormOf(flags);
  switch (form) {
    case 'json':
      printJson(document);
      return;
    case 'jsonl':
      for (const item of document.items) print(JSON.stringify(item));
      return;
    case 'table':
      print(table(header, document.items.map(row), none));
      return;
    default:
      form satisfies never;
  }
}
