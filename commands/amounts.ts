/**
 * How much of a thing a machine can have: what several verbs check about the same words.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";
import { formatSize } from "../vmm/size.ts";

/** An 8-bit APIC id, with 255 for all of them, leaves this many (SDM vol. 3, 12.4.6). */
const MOST_CPUS = 255;
/** KVM gives a guest memory in pages of the host (api.rst §4.35). */
const PAGE = 4096;

/**
 * Checks a number of CPUs.
 *
 * @param count What the words say
 * @returns The same
 * @throws {UsageError} If no machine can have that many
 */
export function cpuCount(count: number): number {
  if (count >= 1 && count <= MOST_CPUS) return count;
  throw new UsageError(`Cannot make ${count} CPUs: a machine has 1 to ${MOST_CPUS}`);
}

/**
 * Checks a size of guest RAM.
 *
 * @param bytes What the words say
 * @returns The same
 * @throws {UsageError} If it is not a number of whole pages
 */
export function memorySize(bytes: number): number {
  if (bytes > 0 && bytes % PAGE === 0) return bytes;
  throw new UsageError(
    `Cannot make ${formatSize(bytes)} of RAM: it comes in pages of ${formatSize(PAGE)}`,
  );
}
