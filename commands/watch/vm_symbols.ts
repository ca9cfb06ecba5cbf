/**
 * The symbols of a live VM's kernel.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { Symbols } from "../../vmm/debug/symbols.ts";
import { LiveInside } from "../live/live_inside.ts";
import type { RunDirectory } from "../live/run_directory.ts";

/**
 * Finds a VM's symbols: in its memory, and in the kernel that it booted.
 *
 * @param vm The VM
 * @returns The symbols; none if it has no kernel that says them, or it has ended
 */
export async function vmSymbols(vm: RunDirectory): Promise<Symbols> {
  try {
    using inside = await LiveInside.open(vm);
    return await inside.symbols();
  } catch (error) {
    if (error instanceof HvshError || error instanceof Deno.errors.NotFound) return new Symbols([]);
    throw error;
  }
}
