/**
 * Slots of guest memory: what one thread of a machine's process maps, and all of them open.
 *
 * @module
 */
import { viewMemory } from "../ffi/mapping.ts";
import { GuestMemory } from "./guest_memory.ts";
import type { WriteLog } from "./write_log.ts";

/** A slot of guest memory as another thread of this process opens it. */
export interface MemorySlot {
  /** Guest-physical address. */
  readonly base: number;
  /** Bytes. */
  readonly size: number;
  /** Where it lies in this process. */
  readonly address: bigint;
  /** Whether it is told to the guest as RAM. */
  readonly ram: boolean;
  /** Whether the guest's writes become exits. */
  readonly readonly: boolean;
  /**
   * The open file that has its bytes, as other processes may read and write them; left out where this
   * process has pages of its own.
   */
  readonly file?: SlotFile;
  /**
   * A file with bytes that this memory was mapped from copy on write, and may have changed since; for
   * memory that has pages of its own because of that.
   */
  readonly image?: SlotFile;
  /** The file that the document has the guest share with others. */
  readonly shared?: { readonly path: string; readonly offset: number };
}

/** A descriptor of the machine's process, and where in its file a slot starts. */
export interface SlotFile {
  readonly fd: number;
  readonly offset: number;
  /** Whether it has reserved huge pages, of which a copy on write may find none left. */
  readonly huge?: boolean;
}

/**
 * Opens slots in the calling thread.
 *
 * @param slots What the machine's memory is made of
 * @param log Where what devices write is noted
 * @returns Guest memory with views of this thread's own
 */
export function openSlots(slots: readonly MemorySlot[], log?: WriteLog): GuestMemory {
  return new GuestMemory(
    slots.map(({ base, size, address, ram }) => ({
      base,
      buffer: viewMemory(address, size),
      ram,
      host: Number(address), // user addresses end at 2^47, or 2^56
    })),
    log,
  );
}

/** Detaches this thread's views; the owner may unmap when every thread has done so. */
export function closeSlots(memory: GuestMemory): void {
  for (const { buffer } of memory.regions) buffer.transfer(0);
}
