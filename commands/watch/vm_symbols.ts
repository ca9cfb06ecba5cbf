/**
 * The symbols of a live VM's kernel.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { ProcessMemory, type SlotRecord } from "../../vmm/debug/process_memory.ts";
import { openSymbols, Symbols } from "../../vmm/debug/symbols.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { request } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { RunDirectory } from "../live/run_directory.ts";

/**
 * Finds a VM's symbols: in its memory, and in the kernel that it booted.
 *
 * @param vm The VM
 * @returns The symbols; none if it has no kernel that says them, or it has ended
 */
export async function vmSymbols(vm: RunDirectory): Promise<Symbols> {
  try {
    const { pid } = await request(vm, "status");
    const slots = await call(vm.control, "inspect.slots") as SlotRecord[];
    const document = JSON.parse(await Deno.readTextFile(vm.config)) as VmDocument;
    const kernel = document.boot?.kernel;
    using memory = new ProcessMemory(pid, slots);
    return await openSymbols(memory, typeof kernel === "string" ? { kernel } : {});
  } catch (error) {
    if (error instanceof HvshError || error instanceof Deno.errors.NotFound) return new Symbols([]);
    throw error;
  }
}
