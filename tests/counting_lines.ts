/**
 * Guests that count aloud, so that what was lost or repeated on the way from one machine to another shows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { flatDocument } from "./flat_machine.ts";
import { listing } from "./guest_code.ts";

/** Counts on the serial port, a line of eight digits each; a register that is not what memory says ends it. Real mode. */
const LINES = listing(`
  b8 00 10              mov ax, 0x1000
  8e d8                 mov ds, ax
  66 31 db              xor ebx, ebx
  66 89 1e 00 00        mov [0], ebx          ; next:
  66 89 d8              mov eax, ebx
  b9 08 00              mov cx, 8
  66 c1 c0 04           rol eax, 4            ; digit:
  66 50                 push eax
  24 0f                 and al, 15
  3c 0a                 cmp al, 10
  72 02                 jb decimal
  04 27                 add al, 'a' - '9' - 1
  04 30                 add al, '0'           ; decimal:
  ba f8 03              mov dx, 0x3f8
  ee                    out dx, al
  66 58                 pop eax
  e2 e8                 loop digit
  b0 0a                 mov al, '\\n'
  ee                    out dx, al
  66 3b 1e 00 00        cmp ebx, [0]
  75 04                 jne wrong
  66 43                 inc ebx
  eb cf                 jmp next
  b0 09                 mov al, 9             ; wrong:
  e6 f4                 out 0xf4, al
  f4                    hlt
`);

/** The first of two CPUs, at 0x10000 in protected mode: starts the other one, and says A to Z for ever. */
const UPPER = listing(`
  bb 00 03 e0 fe        mov ebx, 0xfee00300   ; the local APIC's interrupt command register
  c7 43 10 00 00 00 00  mov dword [ebx+0x10], 0
  c7 03 00 45 0c 00     mov dword [ebx], 0xc4500  ; INIT to all but itself
  c7 03 11 46 0c 00     mov dword [ebx], 0xc4611  ; SIPI, to start at 0x11000
  66 ba f8 03           mov dx, 0x3f8
  b0 41                 mov al, 'A'           ; again:
  ee                    out dx, al            ; next:
  fe c0                 inc al
  3c 5b                 cmp al, 'Z' + 1
  75 f9                 jne next
  eb f5                 jmp again
`);

/** The second, at 0x11000 in real mode: says a to z for ever. */
const LOWER = listing(`
  ba f8 03              mov dx, 0x3f8
  b0 61                 mov al, 'a'           ; again:
  ee                    out dx, al            ; next:
  fe c0                 inc al
  3c 7b                 cmp al, 'z' + 1
  75 f9                 jne next
  eb f5                 jmp again
`);

/** Sleeps, and says the next of A to Z when the timer has woken it. Real mode, at 0x7c00. */
const TICKS = listing(`
  fa                    cli
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  c7 06 80 00 37 7c     mov word [0x80], tick ; vector 0x20
  c7 06 82 00 00 00     mov word [0x82], 0
  b0 11 e6 20           ICW1 of the 8259A: edges, a cascade
  b0 20 e6 21           ICW2: vectors from 0x20
  b0 04 e6 21           ICW3
  b0 01 e6 21           ICW4
  b0 fe e6 21           all masked but IRQ 0
  b0 34 e6 43           channel 0 of the 8254: mode 2
  b0 52 e6 40           1193182 Hz / 2386: 500 a second
  b0 09 e6 40
  b3 41                 mov bl, 'A'
  fb                    sti
  f4                    hlt                   ; sleep:
  eb fd                 jmp sleep
  88 d8                 mov al, bl            ; tick:
  ba f8 03              mov dx, 0x3f8
  ee                    out dx, al
  fe c3                 inc bl
  80 fb 5b              cmp bl, 'Z' + 1
  75 02                 jne end
  b3 41                 mov bl, 'A'
  b0 20 e6 20           end of interrupt      ; end:
  cf                    iret
`);

/** To ring 3. Long mode, at 0x10000. */
const TO_RING_3 = listing(`
  bc 00 00 08 00           mov esp, 0x80000
  b8 00 00 20 00           mov eax, 0x200000
  0f 22 d8                 mov cr3, rax
  0f 01 14 25 00 00 02 00  lgdt [0x20000]
  6a 13                    push 0x13          ; SS
  68 00 00 09 00           push 0x90000       ; RSP
  6a 02                    push 2             ; RFLAGS
  6a 0b                    push 0x0b          ; CS
  68 00 00 03 00           push 0x30000       ; RIP
  48 cf                    iretq
`);

/** GDTR, and 16 bytes on the table: code and data for ring 3. */
const GDT = listing(`
  17 00 10 00 02 00 00 00 00 00 00 00 00 00 00 00  limit, base 0x20010
  00 00 00 00 00 00 00 00
  ff ff 00 00 00 fb af 00                          64-bit code, DPL 3
  ff ff 00 00 00 f3 cf 00                          data, DPL 3
`);

/** Counts in a register and in memory at 0x40000; where they differ, it is an undefined instruction. */
const RING_3 = listing(`
  31 c0                 xor eax, eax
  bb 00 00 04 00        mov ebx, 0x40000
  48 ff c0              inc rax               ; next:
  48 89 03              mov [rbx], rax
  48 39 03              cmp [rbx], rax
  74 f5                 je next
  0f 0b                 ud2
`);

/** Where {@linkcode countingGuest}'s `ring3` counts. */
export const RING_3_COUNT = 0x4_0000;

/** 4 MiB for ring 3, as they are. */
function pageTables(): Uint8Array<ArrayBuffer> {
  const tables = new BigUint64Array(3 * 512);
  tables[0] = 0x20_1007n;
  tables[512] = 0x20_2007n;
  tables[1024] = 0x87n;
  tables[1025] = 0x20_0087n;
  return new Uint8Array(tables.buffer);
}

/** The guests by name. */
export type CountingGuest = "lines" | "two" | "ticks" | "ring3";

/**
 * A document of a guest that counts.
 *
 * @param guest Which
 * @param name Its name
 * @param more More of the document
 */
export function countingGuest(
  guest: CountingGuest,
  name: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const all = { name, memory: [{ type: "ram", size: 4 * 2 ** 20 }], ...more };
  switch (guest) {
    case "lines":
      return flatDocument(LINES, {}, all);
    case "two":
      return flatDocument([{ code: UPPER, base: 0x1_0000 }, { code: LOWER, base: 0x1_1000 }], {
        mode: "protected",
      }, { cpus: 2, ...all });
    case "ticks":
      return flatDocument(TICKS, {}, { irqchip: true, ...all });
    case "ring3":
      return flatDocument(
        [
          { code: TO_RING_3, base: 0x1_0000 },
          { code: GDT, base: 0x2_0000 },
          { code: RING_3, base: 0x3_0000 },
          { code: pageTables(), base: 0x20_0000 },
        ],
        { mode: "long" },
        all,
      );
  }
}

/**
 * Looks that nothing was lost or repeated.
 *
 * @param guest Which guest
 * @param text What its consoles have said, one after the other
 * @returns How far it has counted
 */
export function counted(guest: CountingGuest, text: string): number {
  if (guest === "lines") {
    const lines = text.split("\n");
    const last = lines.pop()!; // it may be cut anywhere
    lines.forEach((line, i) => assert.equal(line, i.toString(16).padStart(8, "0")));
    assert.ok(lines.length.toString(16).padStart(8, "0").startsWith(last));
    return lines.length;
  }
  const upper = letters(text, /[A-Z]/g, 0x41);
  const lower = letters(text, /[a-z]/g, 0x61);
  assert.equal(upper + lower, text.length);
  if (guest === "two") return Math.min(upper, lower);
  assert.equal(lower, 0);
  return upper;
}

function letters(text: string, alphabet: RegExp, first: number): number {
  const found = text.match(alphabet) ?? [];
  found.forEach((letter, i) =>
    assert.equal(letter, String.fromCharCode(first + i % 26), `letter ${i}`)
  );
  return found.length;
}
