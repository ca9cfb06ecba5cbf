/**
 * Which records of a state in a file its VM asks for first, as a file with a name a line: found out when
 * the VM goes on lazily for the first time, read ahead whenever it does later.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Machine } from "../../vmm/machine.ts";
import { parseMemoryName } from "../../vmm/state/record_names.ts";

/**
 * Reads one.
 *
 * @param path Its file
 * @returns Its records; `new` if there is no such file
 * @throws {DocumentError} If it is none
 */
export function readWorkingSet(path: string): readonly string[] | "new" {
  let text: string;
  try {
    text = Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "new";
    throw error;
  }
  const names = text.split("\n").filter((line) => line !== "");
  const wrong = names.find((name) => parseMemoryName(name) === undefined);
  if (wrong === undefined) return names;
  throw new DocumentError(`${path}: ${JSON.stringify(wrong.slice(0, 80))} is no record of memory`, {
    hint: "name a file that is not there yet, and it is made",
  });
}

/**
 * Writes one, which is there once it is whole, and tells of that.
 *
 * @param path Its file
 * @param names Its records
 * @param machine The VM whose they are
 */
export function writeWorkingSet(path: string, names: readonly string[], machine: Machine): void {
  try {
    Deno.writeTextFileSync(`${path}.new`, names.map((name) => `${name}\n`).join(""));
    Deno.renameSync(`${path}.new`, path);
    machine.tell({ kind: "working-set", path, records: names.length });
  } catch (error) {
    const { message } = error as Error;
    machine.tell({
      kind: "working-set",
      path,
      message: `${path} could not be written: ${message}`,
    });
  }
}
