/**
 * Searching guest memory for bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { PhysicalMemory } from "./physical_memory.ts";
import type { VirtualMemory } from "./virtual_memory.ts";

const CHUNK = 4 * 2 ** 20;

/** A run of addresses that lead to neighbouring bytes of physical memory. */
interface Span {
  readonly start: bigint;
  readonly physical: number;
  readonly size: number;
}

/**
 * Finds bytes by guest-physical address.
 *
 * @param memory The memory
 * @param needle What to find, at least a byte that is not zero
 * @returns Addresses in ascending order
 */
export function searchPhysical(
  memory: PhysicalMemory,
  needle: Uint8Array<ArrayBuffer>,
): Generator<bigint> {
  return search(memory, physicalSpans(memory), needle);
}

/**
 * Finds bytes by linear address.
 *
 * @param memory The memory
 * @param virtual The address space
 * @param needle What to find, at least a byte that is not zero
 * @returns Addresses in ascending order; bytes that are mapped twice are found twice
 * @throws {GuestError} If there are more page tables than an honest guest has
 */
export function searchVirtual(
  memory: PhysicalMemory,
  virtual: VirtualMemory,
  needle: Uint8Array<ArrayBuffer>,
): Generator<bigint> {
  return search(memory, virtualSpans(memory, virtual), needle);
}

function* physicalSpans(memory: PhysicalMemory): Generator<Span> {
  for (const { base, size } of memory.pieces) {
    for (const { start, end } of memory.written(base, base + size)) {
      yield { start: BigInt(start), physical: start, size: end - start };
    }
  }
}

function* virtualSpans(memory: PhysicalMemory, virtual: VirtualMemory): Generator<Span> {
  for (const { start, physical, size } of virtual.ranges()) {
    for (const range of memory.written(physical, physical + size)) {
      const offset = range.start - physical;
      yield { start: start + BigInt(offset), physical: range.start, size: range.end - range.start };
    }
  }
}

/** Searches spans; a find may go on from one to the next if that follows it. */
function* search(
  memory: PhysicalMemory,
  spans: Iterable<Span>,
  needle: Uint8Array<ArrayBuffer>,
): Generator<bigint> {
  const kept = needle.length - 1;
  const buffer = new Uint8Array(new ArrayBuffer(kept + CHUNK));
  let carried = 0;
  let next = -1n;
  for (const { start, physical, size } of spans) {
    if (start !== next) carried = 0;
    for (let done = 0; done < size; done += CHUNK) {
      const length = Math.min(CHUNK, size - done);
      if (!memory.read(physical + done, buffer.subarray(carried, carried + length))) {
        carried = 0;
        continue;
      }
      const bytes = Buffer.from(buffer.buffer, 0, carried + length);
      const base = start + BigInt(done - carried);
      for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) {
        yield base + BigInt(at);
      }
      const keep = Math.min(kept, bytes.length);
      buffer.copyWithin(0, bytes.length - keep, bytes.length);
      carried = keep;
    }
    next = start + BigInt(size);
  }
}
