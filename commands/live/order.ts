/**
 * What a VM's owner is told to run: plain data, from one process to another.
 *
 * @module
 */
import type { VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import type { RestoreOrder } from "./restored_machine.ts";
import type { RunOptions } from "./run_machine.ts";

/** What to run, one of the two, and how. */
export interface Order {
  /** A document. */
  readonly run?: VmDocument;
  /** A saved state. */
  readonly restore?: RestoreOrder;
  readonly options: RunOptions;
}

/**
 * Makes the machine.
 *
 * @param order What to run; a stream is read from stdin
 * @returns The machine, not started
 */
export async function makeMachine({ run, restore }: Order): Promise<Machine> {
  if (restore === undefined) return await Machine.create(run!);
  const { restoredMachine } = await import("./restored_machine.ts");
  return await restoredMachine(restore);
}
