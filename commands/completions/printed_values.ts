/**
 * What a word may be, for the completion scripts of other shells: a process of its own has the time to look
 * for symbols, too.
 *
 * @module
 */
import type { LiveKind } from "../live_kinds.ts";
import { findVm } from "../live/run_directory.ts";
import { vmSymbols } from "../watch/vm_symbols.ts";
import { liveSource, type SymbolNames } from "./live_values.ts";

const PRINTABLE = /^[!-~]+$/;

/**
 * Finds values.
 *
 * @param kind Their kind
 * @param vm The VM that the line is about
 * @param before The arguments behind it
 * @returns A line each
 */
export async function printedValues(
  kind: LiveKind,
  vm: string | undefined,
  before: readonly string[],
): Promise<string> {
  const words = kind === "symbol"
    ? await symbolNames(vm)
    : (await liveSource(NO_SYMBOLS).values(kind, { vm, before }, "")).map(({ word }) => word);
  // A guest names its symbols as it likes.
  return words.filter((word) => PRINTABLE.test(word)).map((word) => `${word}\n`).join("");
}

/** Conditions have too many for a list that does not know how they begin. */
const NO_SYMBOLS: SymbolNames = {
  prepare: () => {},
  starting: () => Promise.resolve([]),
};

async function symbolNames(name: string | undefined): Promise<string[]> {
  if (name === undefined) return [];
  const names = new Set<string>();
  for (const symbol of await vmSymbols(findVm(name))) names.add(symbol.name);
  return [...names].sort();
}
