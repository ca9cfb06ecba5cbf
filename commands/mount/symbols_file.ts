/**
 * `symbols`: the names that a VM's kernel has for addresses, as /proc/kallsyms shows them.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";
import type { Asker, FileNode } from "./node.ts";
import type { SymbolsReport } from "./symbols_thread.ts";
import { textFile } from "./text_file.ts";
import type { VmPlace } from "./vm_place.ts";

/** `deno task build` gives the thread's program a folder of its own. */
const THREAD = import.meta.url.endsWith(".ts")
  ? "./symbols_thread.ts"
  : "../symbols_thread/symbols_thread.js";
const PATH = "symbols";
const MOST_SECONDS = 120;

/**
 * The file.
 *
 * @param place Its VM
 */
export function symbolsFile(place: VmPlace): FileNode {
  return textFile({
    read: (asker) =>
      place.attempt(PATH, async () => {
        const memory = await place.ask("inspect.memory", {}, asker) as MemoryRecord;
        return await findSymbols(place, memory, asker);
      }),
  });
}

async function findSymbols(place: VmPlace, memory: MemoryRecord, asker: Asker): Promise<string> {
  const worker = new Worker(new URL(THREAD, import.meta.url), { type: "module" });
  const found = Promise.withResolvers<SymbolsReport>();
  worker.onmessage = ({ data }: MessageEvent<SymbolsReport>) => found.resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    found.resolve({ failed: event.message });
  };
  worker.postMessage(memory);
  try {
    const report = await place.bounded(found.promise, asker, MOST_SECONDS);
    if ("text" in report) return report.text;
    if (!place.live) throw place.gone();
    throw new VmError(report.failed);
  } finally {
    worker.terminate();
  }
}
