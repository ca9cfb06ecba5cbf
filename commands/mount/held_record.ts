/**
 * A part of a VM's saved state.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HeldVm } from "../live/held_vm.ts";
import { type Asker, FileError } from "./node.ts";
import type { VmPlace } from "./vm_place.ts";

/**
 * Holds a VM for the moment that its state takes, without its memory.
 *
 * @param place The VM
 * @param name The record, as a stream has it
 * @param asker Who waits for it
 * @returns What it says
 * @throws {FileError} ENOENT if there is no such record; EINTR, ETIMEDOUT while another one holds the VM
 */
export async function heldRecord(place: VmPlace, name: string, asker: Asker): Promise<unknown> {
  using held = await hold(place, asker);
  const record = held.state.state.find(([found]) => found === name);
  await place.bounded(held.release(), asker);
  if (record === undefined) throw new FileError(Errno.ENOENT);
  return record[1];
}

async function hold(place: VmPlace, asker: Asker): Promise<HeldVm> {
  const over = new AbortController();
  const holding = HeldVm.hold(place.directory, {}, over.signal);
  try {
    return await place.bounded(holding, asker);
  } catch (error) {
    over.abort();
    holding.then((late) => late[Symbol.dispose](), () => {}); // it may just have come
    throw error;
  }
}
