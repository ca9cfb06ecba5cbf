/**
 * Copying a live VM's memory in and out, by guest-physical or linear addresses.
 *
 * @module
 */
import { GuestError } from "../../ffi/errors.ts";
import type { PhysicalMemory } from "../../vmm/debug/physical_memory.ts";
import type { VirtualMemory } from "../../vmm/debug/virtual_memory.ts";
import type { LiveInside } from "./live_inside.ts";

const CHUNK = 2 ** 20;

/** Memory by addresses of one kind. */
export interface MemoryAccess {
  /**
   * Copies bytes out.
   *
   * @throws {GuestError} If one of them is no memory
   */
  read(address: bigint, target: Uint8Array<ArrayBuffer>): void;
  /**
   * Copies bytes in.
   *
   * @throws {GuestError} If one of them is no memory
   */
  write(address: bigint, bytes: Uint8Array<ArrayBuffer>): void;
}

/** Which addresses are meant. */
export interface AddressKind {
  /** Linear addresses, as code on a vCPU has them; guest-physical otherwise. */
  readonly virtual?: boolean;
  /** The vCPU whose linear addresses they are; 0 if left out. */
  readonly cpu?: number;
}

/**
 * Opens memory.
 *
 * @param inside The VM
 * @param kind Which addresses are meant
 */
export async function openAccess(inside: LiveInside, kind: AddressKind): Promise<MemoryAccess> {
  return kind.virtual === true
    ? await inside.virtual(kind.cpu) satisfies VirtualMemory
    : physicalAccess(inside.memory);
}

/**
 * Memory by guest-physical addresses, which may go from one piece to the next.
 *
 * @param memory The memory
 */
export function physicalAccess(memory: PhysicalMemory): MemoryAccess {
  const pieces = (address: bigint, bytes: Uint8Array<ArrayBuffer>) =>
    cut(memory, address, bytes.length).map(([at, from, length]) =>
      [at, bytes.subarray(from, from + length)] as const
    );
  return {
    read(address, target) {
      for (const [at, part] of pieces(address, target)) memory.read(at, part);
    },
    write(address, bytes) {
      for (const [at, part] of pieces(address, bytes)) memory.write(at, part);
    },
  };
}

/** A range by the pieces that it lies in. */
function cut(
  memory: PhysicalMemory,
  address: bigint,
  length: number,
): (readonly [address: number, from: number, length: number])[] {
  const parts: (readonly [number, number, number])[] = [];
  for (let done = 0; done < length;) {
    const at = Number(address) + done;
    const piece = memory.pieces.find(({ base, size }) => at >= base && at - base < size);
    if (piece === undefined) throw notMemory(memory, at);
    const size = Math.min(length - done, piece.size - (at - piece.base));
    parts.push([at, done, size]);
    done += size;
  }
  return parts;
}

function notMemory(memory: PhysicalMemory, address: number): GuestError {
  const map = memory.pieces.map(({ base, size }) =>
    `0x${base.toString(16)}-0x${(base + size - 1).toString(16)}`
  );
  return new GuestError(
    `Guest-physical 0x${address.toString(16)} is not memory but a device's, or nobody's`,
    { hint: `memory is ${map.join(", ") || "empty"}` },
  );
}

/**
 * Reads a range in chunks, in one buffer that each of them overwrites.
 *
 * @param access The memory
 * @param address Its first address
 * @param length Bytes
 * @returns The bytes
 * @throws {GuestError} If one of them is no memory
 */
export function* readChunks(
  access: MemoryAccess,
  address: bigint,
  length: number,
): Generator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(Math.min(CHUNK, length));
  for (let done = 0; done < length; done += CHUNK) {
    const chunk = buffer.subarray(0, Math.min(CHUNK, length - done));
    access.read(BigInt.asUintN(64, address + BigInt(done)), chunk);
    yield chunk;
  }
}
