/**
 * Guest memory for tests of DMA: real mappings, whose addresses may be given to the kernel, between
 * pages that nobody may write.
 *
 * @module
 */
import "./c_library.ts";
import { createMemfd, Mapping } from "../ffi/mapping.ts";
import { closeFile } from "../ffi/files.ts";
import { GuestMemory, type MemoryRegion } from "../vmm/guest_memory.ts";
import { viewMemory } from "../ffi/mapping.ts";

const GUARD = 0x1_0000;
const PATTERN = 0xa5a5_a5a5;

/** A region that a test asks for. */
export interface GuardedRegion {
  /** Guest-physical address. */
  readonly base: number;
  /** Bytes, a multiple of 4096. */
  readonly size: number;
  /** Whether it is mapped copy on write, as a fork's is. Default false. */
  readonly private?: boolean;
  /** What the file behind it is full of. Default 0. */
  readonly filling?: number;
}

/** Guest memory with guards around each region. */
export class GuardedMemory implements Disposable {
  /** The memory as devices see it. */
  readonly guest: GuestMemory;
  readonly #mappings: Mapping[] = [];
  readonly #guards: Uint32Array[] = [];
  readonly #regions: MemoryRegion[] = [];

  /**
   * @param regions Where there is memory
   */
  constructor(regions: readonly GuardedRegion[]) {
    for (const { base, size, private: own = false, filling = 0 } of regions) {
      const fd = createMemfd("hvsh-test", size + 2 * GUARD);
      if (filling !== 0) {
        using file = new Mapping(fd, size + 2 * GUARD);
        new Uint8Array(file.buffer).fill(filling);
      }
      const mapping = new Mapping(fd, size + 2 * GUARD, { private: own });
      closeFile(fd);
      this.#mappings.push(mapping);
      for (const offset of [0, GUARD + size]) {
        const guard = new Uint32Array(mapping.buffer, offset, GUARD / 4);
        guard.fill(PATTERN);
        this.#guards.push(guard);
      }
      const address = mapping.address + BigInt(GUARD);
      const buffer = viewMemory(address, size);
      this.#regions.push({ base, buffer, ram: true, host: Number(address) });
    }
    this.guest = new GuestMemory(this.#regions);
  }

  /** Whether no byte beside the regions has been written. */
  get intact(): boolean {
    return this.#guards.every((guard) => guard.every((word) => word === PATTERN));
  }

  [Symbol.dispose](): void {
    for (const { buffer } of this.#regions) buffer.transfer(0);
    for (const mapping of this.#mappings) mapping[Symbol.dispose]();
  }
}
