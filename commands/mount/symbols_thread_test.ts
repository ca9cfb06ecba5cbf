import assert from "node:assert/strict";
import { symbolElf } from "../../tests/symbol_elf.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";
import type { SymbolsReport } from "./symbols_thread.ts";

/** What the thread says of memory. */
async function report(record: MemoryRecord): Promise<SymbolsReport> {
  const worker = new Worker(new URL("./symbols_thread.ts", import.meta.url), { type: "module" });
  try {
    const said = Promise.withResolvers<SymbolsReport>();
    worker.onmessage = ({ data }) => said.resolve(data);
    worker.onerror = ({ message }) => said.reject(new Error(message));
    worker.postMessage(record);
    return await said.promise;
  } finally {
    worker.terminate();
  }
}

Deno.test("a kernel's symbols are lines of addresses and names; none is no failure", async () => {
  const kernel = await Deno.makeTempFile({ prefix: "hvsh-test-" });
  try {
    const symbols = [
      { name: "start_kernel", address: 0xffffffff81000040n, size: 16 },
      { name: "rest_init", address: 0xffffffff81000400n, size: 16 },
    ];
    await Deno.writeFile(kernel, symbolElf(symbols));
    const memory = { pid: Deno.pid, slots: [], traps: [] };
    assert.deepEqual(await report({ ...memory, kernel }), {
      text: "0xffffffff81000040 start_kernel\n0xffffffff81000400 rest_init\n",
    });
    assert.deepEqual(await report(memory), { text: "" });
  } finally {
    await Deno.remove(kernel);
  }
});
