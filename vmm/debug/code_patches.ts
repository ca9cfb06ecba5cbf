/**
 * Traps in the guest's code. They are there only while vCPUs run: whoever looks at memory while they
 * stand sees the guest's own bytes, and may write them.
 *
 * @module
 */
import { TRAP_PORT } from "../arena.ts";
import type { GuestMemory } from "../guest_memory.ts";

/** INT3. */
export const INT3: readonly number[] = [0xcc];
/**
 * `out TRAP_PORT, al`: an exit on every KVM, but two bytes long, and in ring 3 a #GP. For KVMs that don't
 * tell of INT3: one that emulates ring 0, and one in a CPU that QEMU's TCG emulates, which does not
 * intercept it.
 */
export const OUT_TRAP: readonly number[] = [0xe6, TRAP_PORT];

/** A byte of a trap that is in the code. */
export interface TrapByte {
  /** Guest-physical address. */
  readonly address: number;
  /** The guest's own byte. */
  readonly own: number;
  /** The trap's. */
  readonly trap: number;
}

/**
 * Shows the guest's own bytes where traps are.
 *
 * @param traps What is in the code
 * @param address Guest-physical address of the first byte that was read
 * @param bytes What was read; changed in place
 */
export function hideTraps(traps: readonly TrapByte[], address: number, bytes: Uint8Array): void {
  for (const { address: at, own, trap } of traps) {
    if (bytes[at - address] === trap) bytes[at - address] = own;
  }
}

/** The traps of one VM. */
export class CodePatches {
  /** The instruction. */
  readonly trap: readonly number[];
  readonly #memory: GuestMemory;
  /** What is in, and the guest's own bytes, by guest-physical address. */
  readonly #own = new Map<number, { readonly own: number; readonly trap: number }>();

  /**
   * @param memory The VM's memory
   * @param trap {@linkcode INT3} or {@linkcode OUT_TRAP}
   */
  constructor(memory: GuestMemory, trap: readonly number[]) {
    this.#memory = memory;
    this.trap = trap;
  }

  /**
   * Puts traps in; no vCPU may run.
   *
   * @param patches For each trap the guest-physical addresses of its bytes, all of them in memory
   */
  insert(patches: Iterable<readonly number[]>): void {
    for (const patch of patches) {
      for (const [i, address] of patch.entries()) {
        if (this.#own.has(address)) continue;
        const byte = this.#memory.bytes(address, 1);
        const trap = this.trap[i]!;
        this.#own.set(address, { own: byte[0]!, trap });
        byte[0] = trap;
        this.#memory.written(address, 1);
      }
    }
  }

  /** What is in now. */
  get inserted(): TrapByte[] {
    return [...this.#own].map(([address, bytes]) => ({ address, ...bytes }));
  }

  /** Whether a trap is in whose first byte is at a guest-physical address. */
  has(address: number): boolean {
    return this.#own.get(address)?.trap === this.trap[0];
  }

  /** Takes them out; no vCPU may run. Where the guest has written since, its byte stays. */
  lift(): void {
    for (const [address, { own, trap }] of this.#own) {
      const byte = this.#memory.bytes(address, 1);
      if (byte[0] !== trap) continue;
      byte[0] = own;
      this.#memory.written(address, 1);
    }
    this.#own.clear();
  }
}
