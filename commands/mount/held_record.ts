/**
 * A part of a VM's saved state.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HeldVm } from "../live/held_vm.ts";
import { FileError } from "./node.ts";
import type { VmPlace } from "./vm_place.ts";

/**
 * Holds a VM for the moment that its state takes, without its memory.
 *
 * @param place The VM
 * @param name The record, as a stream has it
 * @returns What it says
 * @throws {FileError} ENOENT if there is no such record
 */
export async function heldRecord(place: VmPlace, name: string): Promise<unknown> {
  using held = await HeldVm.hold(place.directory);
  const record = held.state.state.find(([found]) => found === name);
  await held.release();
  if (record === undefined) throw new FileError(Errno.ENOENT);
  return record[1];
}
