/**
 * Guests that count, in registers and in memory at once: one that finds the two apart ends itself with a
 * status other than 0. Every 16th count is said on the first serial port, and each is written to one of
 * 16384 words, so that all of 64 KiB is changing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flatDocument } from "./flat_machine.ts";
import { listing } from "./guest_code.ts";
import type { VmDocument } from "../vmm/document.ts";

/** Where a guest of one CPU counts, and the first of two. */
export const COUNTER = 0x2_0000;
/** Where the second CPU counts. */
export const SECOND_COUNTER = 0x3_0000;
const WORDS = 0x4_0000;
const WORDS_BYTES = 0x1_0000;
const EVERY = 16;

/** Counts in real mode. */
const COUNTING = listing(`
  b8 00 20        mov ax, 0x2000
  8e d8           mov ds, ax
  b8 00 40        mov ax, 0x4000
  8e c0           mov es, ax
  ba f8 03        mov dx, 0x3f8
  66 31 c9        xor ecx, ecx
  66 41           inc ecx               ; again:
  66 ff 06 00 00  inc dword [0]
  66 39 0e 00 00  cmp [0], ecx
  75 19           jne bad
  89 cb           mov bx, cx
  81 e3 fc ff     and bx, 0xfffc
  26 66 89 0f     mov [es:bx], ecx
  f6 c1 0f        test cl, 15
  75 e3           jne again
  66 89 c8        mov eax, ecx
  66 c1 e8 04     shr eax, 4
  ee              out dx, al
  eb d9           jmp again
  b0 01           mov al, 1             ; bad:
  e6 f4           out 0xf4, al
  f4              hlt
`);

/** The first of two CPUs, at 0x10000 in protected mode: starts the other one and counts as the one above. */
const FIRST_COUNTING = listing(`
  bb 00 03 e0 fe        mov ebx, 0xfee00300
  c7 43 10 00 00 00 00  mov dword [ebx+0x10], 0
  c7 03 00 45 0c 00     mov dword [ebx], 0xc4500      ; INIT to all but itself
  c7 03 11 46 0c 00     mov dword [ebx], 0xc4611      ; SIPI, to start at 0x11000
  66 ba f8 03           mov dx, 0x3f8
  31 c9                 xor ecx, ecx
  41                    inc ecx                       ; again:
  ff 05 00 00 02 00     inc dword [0x20000]
  39 0d 00 00 02 00     cmp [0x20000], ecx
  75 1b                 jne bad
  89 cb                 mov ebx, ecx
  81 e3 fc ff 00 00     and ebx, 0xfffc
  89 8b 00 00 04 00     mov [ebx+0x40000], ecx
  f6 c1 0f              test cl, 15
  75 de                 jne again
  89 c8                 mov eax, ecx
  c1 e8 04              shr eax, 4
  ee                    out dx, al
  eb d6                 jmp again
  b0 01                 mov al, 1                     ; bad:
  e6 f4                 out 0xf4, al
  f4                    hlt
`);

/** The second CPU, at 0x11000 in real mode: counts, and is silent. */
const SECOND_COUNTING = listing(`
  b8 00 30        mov ax, 0x3000
  8e d8           mov ds, ax
  66 31 c9        xor ecx, ecx
  66 41           inc ecx               ; again:
  66 ff 06 00 00  inc dword [0]
  66 39 0e 00 00  cmp [0], ecx
  74 f2           je again
  b0 02           mov al, 2
  e6 f4           out 0xf4, al
  f4              hlt
`);

/**
 * A machine with a guest that counts.
 *
 * @param cpus One or two
 * @param more More of its document
 */
export function countingDocument(cpus: 1 | 2, more: Record<string, unknown> = {}): VmDocument {
  if (cpus === 1) return flatDocument(COUNTING, {}, more);
  return flatDocument(
    [{ code: FIRST_COUNTING, base: 0x1_0000 }, { code: SECOND_COUNTING, base: 0x1_1000 }],
    { mode: "protected" },
    { cpus, ...more },
  );
}

/**
 * Looks that what its console said is one count after the other.
 *
 * @param said All of it
 */
export function assertCounts(said: Uint8Array): void {
  for (const [i, byte] of said.entries()) {
    if (byte !== ((i + 1) & 0xff)) {
      assert.fail(`count ${i + 1} of ${said.length} was said as ${said.slice(i - 2, i + 3)}`);
    }
  }
}

/**
 * Looks that a machine which stands has in memory what its guest has counted.
 *
 * @param memory Its first MiB
 * @param said How many counts its console has said
 */
export function assertCounted(memory: Uint8Array<ArrayBuffer>, said: number): void {
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const count = view.getUint32(COUNTER, true);
  // It may stand before it has said its last one.
  const counts = Math.floor(count / EVERY);
  assert.ok(said === counts || said === counts - 1, `it has counted ${count} and said ${said}`);
  for (let at = 0; at < WORDS_BYTES; at += 4) {
    const word = view.getUint32(WORDS + at, true);
    // The last count that belongs there, or the one before if that is being written.
    const right = [count, count - 1].map((last) => lastFor(last, at));
    assert.ok(right.includes(word), `at ${at} it has ${word}, not ${right}`);
  }
}

/** The last count up to some count whose word is at a place; 0 if there is none yet. */
function lastFor(count: number, at: number): number {
  const lap = count - count % WORDS_BYTES;
  const inLap = count % WORDS_BYTES;
  if (at + 3 <= inLap) return lap + at + 3;
  if (at <= inLap) return count;
  return lap === 0 ? 0 : lap - WORDS_BYTES + at + 3;
}
