/**
 * Objects of a verb that knows no `--output`, written as its words ask for.
 *
 * @module
 */
import { derivedContext } from "./derived_context.ts";
import { type DataRecord, type OutputFormat, stateColor, writeRecords } from "./output.ts";
import type { VerbContext } from "./verb.ts";

/**
 * Runs a verb with its objects written in some format. A verb that knows the flag prints by itself what is
 * no JSON.
 *
 * @param format The format
 * @param context Where it runs
 * @param run Runs it
 * @returns What that gives
 */
export async function inFormat(
  format: OutputFormat,
  context: VerbContext,
  run: (context: VerbContext) => Promise<number>,
): Promise<number> {
  if (format === "json") return await run(derivedContext(context, { forPerson: false }));
  if (format === "name") {
    const emit = (value: unknown) => context.print(`${(value as DataRecord).live}\n`);
    return await run(derivedContext(context, { forPerson: false, emit }));
  }
  const records: DataRecord[] = [];
  const emit = (value: unknown) => Promise.resolve(void records.push(value as DataRecord));
  const status = await run(derivedContext(context, { forPerson: true, emit }));
  if (records.length === 0) return status;
  const layout = { name: "live", columns: columnsOf(records) };
  await writeRecords(records, layout, { output: "table" }, context);
  return status;
}

/** What the records have in common, or some of them have; lists and objects have no place in a table. */
function columnsOf(records: readonly DataRecord[]) {
  const keys = new Set(records.flatMap((record) => Object.keys(record)));
  return [...keys].filter((key) => records.every((record) => typeof record[key] !== "object"))
    .map((key) => ({
      key,
      right: records.some((record) => typeof record[key] === "number"),
      ...(key === "state" ? { whole: true, color: stateColor } : {}),
    }));
}
