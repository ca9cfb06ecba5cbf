/**
 * Memory of a machine of this process, as it is saved.
 *
 * @module
 */
import type { GuestMemory } from "../guest_memory.ts";
import type { SavedRegion } from "./regions.ts";
import { CHUNK, type SavedMemory } from "./save_stream.ts";

/**
 * A machine's memory, which must not change while it is read.
 *
 * @param memory What its `freeze` shows
 */
export function ownMemory(memory: GuestMemory): SavedMemory {
  return {
    *pieces({ base, size }: SavedRegion) {
      const region = memory.bytes(base, size);
      for (let offset = 0; offset < size; offset += CHUNK) {
        yield { offset, bytes: region.subarray(offset, Math.min(offset + CHUNK, size)) };
      }
    },
  };
}
