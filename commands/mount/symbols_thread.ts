/// <reference lib="deno.worker" />
/**
 * A Worker that finds a VM's symbols: going through the memory of a Linux takes a second, in which the
 * tree's other files are not to wait.
 *
 * @module
 */
import { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { openSymbols } from "../../vmm/debug/symbols.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";

/** What it answers: lines, or why there are none. */
export type SymbolsReport = { readonly text: string } | { readonly failed: string };

async function symbolsText({ pid, slots, traps, kernel }: MemoryRecord): Promise<string> {
  using memory = new ProcessMemory(pid, slots, traps);
  const lines: string[] = [];
  const symbols = await openSymbols(memory, kernel === undefined ? {} : { kernel });
  for (const { address, name, module } of symbols) {
    lines.push(
      `0x${address.toString(16)} ${name}${module === undefined ? "" : ` [${module}]`}\n`,
    );
  }
  return lines.join("");
}

self.onmessage = async ({ data }: MessageEvent<MemoryRecord>) => {
  let report: SymbolsReport;
  try {
    report = { text: await symbolsText(data) };
  } catch (error) {
    report = { failed: (error as Error).message };
  }
  self.postMessage(report);
  self.close();
};
