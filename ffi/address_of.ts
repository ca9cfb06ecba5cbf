/**
 * Addresses of JavaScript's own buffers, for system calls that find them in memory.
 *
 * @module
 */

/**
 * Where a buffer lies in this process, for as long as it lives. V8 keeps buffers of up to 64 bytes in
 * its heap, where they move.
 *
 * @param buffer A buffer of more than 64 bytes, or one that is used before this thread does anything else
 * @returns Its address, below 2^47: the kernel gives higher ones only to who asks for them
 * @example
 * ```ts
 * import { addressOf } from "./address_of.ts";
 *
 * console.log(addressOf(new Uint8Array(4096)) < 2 ** 47); // true
 * ```
 */
export function addressOf(buffer: ArrayBufferView<ArrayBuffer>): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
}
