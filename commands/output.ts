/**
 * How verbs that give data write it: objects in a pipe, a table for a person.
 *
 * @module
 */
import type { CellColor } from "./text_table.ts";
import type { Flag, TerminalLook, VerbContext, Words } from "./verb.ts";

/** One object of data. */
export type DataRecord = Readonly<Record<string, unknown>>;

/** A column of the table: the record's key, the title is the key in capitals. */
export interface Column {
  readonly key: string;
  /** How its value is written; as JSON has it, text without quotes, if left out. */
  readonly format?: (value: unknown, record: DataRecord) => string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** It is to be had whole on any terminal: commands to copy. */
  readonly whole?: boolean;
  /** The colour of a cell, on a terminal that has colours. */
  readonly color?: (cell: string) => CellColor | undefined;
}

/** What the records of a verb look like. */
export interface RecordLayout {
  /** The columns of its table, the most important first: on a narrow terminal the last ones go. */
  readonly columns: readonly Column[];
  /** The key that `-o name` prints. */
  readonly name: string;
}

const FORMATS = ["json", "table", "name"] as const;

/** The flag of every verb that gives data. */
export const outputFlag: Readonly<Record<"output", Flag>> = {
  output: {
    short: "o",
    value: FORMATS,
    metavar: "FORMAT",
    help: "json (in a pipe), table (on a terminal) or name",
  },
};

/** How a verb's data is to be written. */
export type OutputFormat = typeof FORMATS[number];

/**
 * Chooses how data is written.
 *
 * @param words The verb's words, with its `output`
 * @param context Where it runs
 * @returns What was asked for; otherwise a table for a person and objects for a stage
 */
export function outputFormat(words: Words, context: VerbContext): OutputFormat {
  return words.output as OutputFormat | undefined ??
    (context.forPerson === true ? "table" : "json");
}

/**
 * Writes records.
 *
 * @param records The records
 * @param layout What they look like
 * @param words The verb's words, with its `output`
 * @param context Where it runs
 */
export async function writeRecords(
  records: Iterable<DataRecord> | AsyncIterable<DataRecord>,
  layout: RecordLayout,
  words: Words,
  context: VerbContext,
): Promise<void> {
  switch (outputFormat(words, context)) {
    case "json":
      for await (const record of records) await context.emit(record);
      break;
    case "name":
      for await (const record of records) await context.print(`${record[layout.name]}\n`);
      break;
    default:
      await context.print(await table(records, layout.columns, context.look));
  }
}

async function table(
  records: Iterable<DataRecord> | AsyncIterable<DataRecord>,
  columns: readonly Column[],
  look: TerminalLook | undefined,
): Promise<string> {
  const { renderTable } = await import("./text_table.ts"); // which a stage of a pipe does without
  const rows: string[][] = [];
  for await (const record of records) {
    rows.push(columns.map(({ key, format = plain }) => format(record[key], record)));
  }
  return renderTable(columns.map(tableColumn), rows, look);
}

function tableColumn({ key, right = false, whole = false, color }: Column) {
  return { title: key.toUpperCase(), right, whole, color };
}

function plain(value: unknown): string {
  if (value === undefined || value === null) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/**
 * The colour of a VM's state.
 *
 * @param state `running`, `paused`, `ended`…
 */
export function stateColor(state: string): CellColor | undefined {
  if (state === "running") return "green";
  return state === "ended" ? "gray" : "yellow";
}
