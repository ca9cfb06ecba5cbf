/**
 * What a VM's owner is told to run: plain data, from one process to another.
 *
 * @module
 */
import type { VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import type { Arrival } from "./arrival.ts";
import type { ForkOrder } from "./forked_machine.ts";
import type { RestoreOrder } from "./restored_machine.ts";
import type { RunOptions } from "./run_machine.ts";

/** What to run, one of the three, and how. */
export interface Order {
  /** A document. */
  readonly run?: VmDocument;
  /** A saved state. */
  readonly restore?: RestoreOrder;
  /** A copy of a live VM. */
  readonly fork?: ForkOrder;
  /** The VM runs elsewhere until it is restored: stdin and stdout are a pipe each to its owner. */
  readonly live?: boolean;
  readonly options: RunOptions;
}

/**
 * Makes the machine.
 *
 * @param order What to run; a stream is read from stdin
 * @param arrival Where a stream comes from whose VM still runs
 * @returns The machine, not started
 */
export async function makeMachine(
  { run, restore, fork }: Order,
  arrival?: Arrival,
): Promise<Machine> {
  if (fork !== undefined) {
    const { forkedMachine } = await import("./forked_machine.ts");
    return await forkedMachine(fork);
  }
  if (restore !== undefined) {
    const { restoredMachine } = await import("./restored_machine.ts");
    return await restoredMachine(restore, { arrival });
  }
  return await Machine.create(run!);
}
