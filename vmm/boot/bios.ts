/**
 * The few BIOS calls that real-mode setup code can't do without: a memory map (INT 15h), output and
 * input on the first serial port as if it were the display and the keyboard (INT 10h, INT 16h), and
 * the clock's ticks. Everything else answers "no such function". It stands in for firmware only
 * where a kernel is started by its real-mode entry.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { Address } from "../board.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { BootE820Entry } from "./boot_params.ts";
import { memoryMap } from "./e820.ts";
import type { Image } from "./image.ts";
import { memoryError, ramEnd } from "./placement.ts";

/** The BIOS's segment, and where in it the code and the INT 15h map are. */
const SEGMENT = 0xf000;
const CODE = 0xf000;
const MAP = 0xf800;
const MAP_ENTRIES = Math.floor((0x1_0000 - MAP) / BootE820Entry.size);
/** INT 15h AX=E801h and AH=88h count from 1 MiB, the first one up to 16 MiB. */
const SIXTEEN_MIB = 16 << 20;

const word = (value: number) => [value & 0xff, value >> 8];

/** Sets carry in the caller's flags and returns: the call failed. */
const FAIL = [
  0x55, //                         push bp
  0x89,
  0xe5, //                   mov  bp, sp
  0x80,
  0x4e,
  0x06,
  0x01, //       or   byte [bp+6], 1
  0x5d, //                         pop  bp
  0xcf, //                         iret
];

/** Clears carry in the caller's flags and returns. */
const SUCCEED = [
  0x55, //                         push bp
  0x89,
  0xe5, //                   mov  bp, sp
  0x80,
  0x66,
  0x06,
  0xfe, //       and  byte [bp+6], 0xfe
  0x5d, //                         pop  bp
  0xcf, //                         iret
];

/** Interrupt controllers at vectors 8 and 0x70, the timer at 18.2 Hz, and on to the kernel. */
const powerOn = (segment: number) => [
  ...[0xb0, 0x11, 0xe6, 0x20, 0xe6, 0xa0], //  ICW1 of both: edge, cascade, ICW4
  ...[0xb0, 0x08, 0xe6, 0x21, 0xb0, 0x70, 0xe6, 0xa1], //  ICW2: vectors
  ...[0xb0, 0x04, 0xe6, 0x21, 0xb0, 0x02, 0xe6, 0xa1], //  ICW3: IRQ 2
  ...[0xb0, 0x01, 0xe6, 0x21, 0xe6, 0xa1], //  ICW4: 8086 mode
  ...[0xb0, 0xfe, 0xe6, 0x21, 0xb0, 0xff, 0xe6, 0xa1], //  only IRQ 0 unmasked
  ...[0xb0, 0x36, 0xe6, 0x43], //  counter 0: mode 3, two bytes
  ...[0x30, 0xc0, 0xe6, 0x40, 0xe6, 0x40], //  65536
  ...[0xea, ...word(0), ...word(segment)], //  jmp segment:0
];

/** INT 8: counts a tick at 0040:006C. */
const TICK = [
  0x50, //                         push ax
  0x1e, //                         push ds
  0x31,
  0xc0, //                   xor  ax, ax
  0x8e,
  0xd8, //                   mov  ds, ax
  0x66,
  0xff,
  0x06,
  0x6c,
  0x04, // inc  dword [0x46c]
  0xb0,
  0x20, //                   mov  al, 0x20
  0xe6,
  0x20, //                   out  0x20, al
  0x1f, //                         pop  ds
  0x58, //                         pop  ax
  0xcf, //                         iret
];

/** Any other IRQ: says that it is done. */
const IRQ = [
  0x50, //                         push ax
  0xb0,
  0x20, //                   mov  al, 0x20
  0xe6,
  0xa0, //                   out  0xa0, al
  0xe6,
  0x20, //                   out  0x20, al
  0x58, //                         pop  ax
  0xcf, //                         iret
];

/** INT 10h: AH=0Eh puts a character out, AH=03h and 0Fh tell of an 80-column text display. */
const VIDEO = [
  0x80,
  0xfc,
  0x0e, //             cmp  ah, 0x0e
  0x74,
  0x16, //                   je   character
  0x80,
  0xfc,
  0x03, //             cmp  ah, 0x03
  0x74,
  0x0b, //                   je   cursor
  0x80,
  0xfc,
  0x0f, //             cmp  ah, 0x0f
  0x75,
  0x05, //                   jne  done
  0xb8,
  0x03,
  0x50, //             mov  ax, 0x5003
  0x30,
  0xff, //                   xor  bh, bh
  0xcf, //                   done: iret
  0xb9,
  0x07,
  0x06, //     cursor: mov  cx, 0x0607
  0x31,
  0xd2, //                   xor  dx, dx
  0xcf, //                         iret
  0x52, //              character: push dx
  0x50, //                         push ax
  0xba,
  0xfd,
  0x03, //             mov  dx, 0x3fd
  0xec, //                   wait: in   al, dx
  0xa8,
  0x20, //                   test al, 0x20
  0x74,
  0xfb, //                   jz   wait
  0x58, //                         pop  ax
  0xba,
  0xf8,
  0x03, //             mov  dx, 0x3f8
  0xee, //                         out  dx, al
  0x5a, //                         pop  dx
  0xcf, //                         iret
];

/** INT 11h: equipment. One serial port, 80 columns in colour. */
const EQUIPMENT_WORD = 0x0220;
const EQUIPMENT = [0xb8, ...word(EQUIPMENT_WORD), 0xcf];

/** INT 12h: KiB of low memory. */
const LOW_KIB = Math.floor(Address.EBDA / 1024);
const LOW_MEMORY = [0xb8, ...word(LOW_KIB), 0xcf];

/** INT 13h: no disks. */
const DISK = [0xb4, 0x01, ...FAIL];

/** INT 15h: AX=E820h, AX=E801h and AH=88h tell of memory, AH=24h of an A20 gate that is open. */
const system = (entries: number, below16: number, above16: number, kib: number) => [
  0x3d,
  0x20,
  0xe8, //             cmp  ax, 0xe820
  0x74,
  0x30, //                   je   e820
  0x3d,
  0x01,
  0xe8, //             cmp  ax, 0xe801
  0x74,
  0x1a, //                   je   e801
  0x80,
  0xfc,
  0x88, //             cmp  ah, 0x88
  0x74,
  0x21, //                   je   extended
  0x80,
  0xfc,
  0x24, //             cmp  ah, 0x24
  0x74,
  0x0b, //                   je   a20
  ...[0xb4, 0x86, ...FAIL], // no: mov  ah, 0x86
  0xb8,
  0x01,
  0x00, //        a20: mov  ax, 1
  0xeb,
  0x4a, //                   jmp  yes
  ...[0xb8, ...word(below16)], // e801: mov ax, KiB from 1 to 16 MiB
  ...[0xbb, ...word(above16)], //  mov  bx, 64-KiB blocks from 16 MiB on
  0x89,
  0xc1, //                   mov  cx, ax
  0x89,
  0xda, //                   mov  dx, bx
  0xeb,
  0x3e, //                   jmp  yes
  ...[0xb8, ...word(kib)], // extended: mov ax, KiB from 1 MiB on
  0xeb,
  0x39, //                   jmp  yes
  ...[0x66, 0x81, 0xfa, 0x50, 0x41, 0x4d, 0x53], // e820: cmp edx, 'SMAP'
  0x75,
  0xd6, //                   jne  no
  0x83,
  0xfb,
  entries, //          cmp  bx, entries
  0x73,
  0xd1, //                   jae  no
  0x1e, //                         push ds
  0x56, //                         push si
  0x57, //                         push di
  0x0e, //                         push cs
  0x1f, //                         pop  ds
  0x6b,
  0xf3,
  BootE820Entry.size, // imul si, bx, 20
  0x81,
  0xc6,
  ...word(MAP), //     add  si, MAP
  0xb9,
  0x0a,
  0x00, //             mov  cx, 10
  0xfc, //                         cld
  0xf3,
  0xa5, //                   rep  movsw
  0x5f, //                         pop  di
  0x5e, //                         pop  si
  0x1f, //                         pop  ds
  0x43, //                         inc  bx
  0x66,
  0x0f,
  0xb7,
  0xdb, //       movzx ebx, bx
  0x83,
  0xfb,
  entries, //          cmp  bx, entries
  0x72,
  0x03, //                   jb   more
  0x66,
  0x31,
  0xdb, //             xor  ebx, ebx
  0x66,
  0x89,
  0xd0, //       more: mov  eax, edx
  0x66,
  0xb9,
  0x14,
  0x00,
  0x00,
  0x00, // mov ecx, 20
  ...SUCCEED, //              yes:
];

/** INT 16h: AH=00h and 10h wait for a character, AH=01h and 11h tell whether there is one. */
const KEYBOARD = [
  0xfb, //                         sti
  0x52, //                         push dx
  0xba,
  0xfd,
  0x03, //             mov  dx, 0x3fd
  0xf6,
  0xc4,
  0x0f, //             test ah, 0x0f
  0x75,
  0x0c, //                   jnz  peek
  0xec, //                   wait: in   al, dx
  0xa8,
  0x01, //                   test al, 1
  0x74,
  0xfb, //                   jz   wait
  0xb2,
  0xf8, //                   mov  dl, 0xf8
  0xec, //                         in   al, dx
  0x30,
  0xe4, //                   xor  ah, ah
  0x5a, //                         pop  dx
  0xcf, //                         iret
  0x55, //                   peek: push bp
  0x89,
  0xe5, //                   mov  bp, sp
  0x80,
  0x4e,
  0x08,
  0x40, //       or   byte [bp+8], 0x40   ; ZF: nothing there
  0xec, //                         in   al, dx
  0x3c,
  0xff, //                   cmp  al, 0xff            ; no serial port
  0x74,
  0x08, //                   je   none
  0xa8,
  0x01, //                   test al, 1
  0x74,
  0x04, //                   jz   none
  0x80,
  0x66,
  0x08,
  0xbf, //       and  byte [bp+8], 0xbf
  0x31,
  0xc0, //             none: xor  ax, ax
  0x5d, //                         pop  bp
  0x5a, //                         pop  dx
  0xcf, //                         iret
];

/** INT 1Ah: AH=00h reads the ticks. */
const CLOCK = [
  0x84,
  0xe4, //                   test ah, ah
  0x75,
  0x10, //                   jnz  no
  0x1e, //                         push ds
  0x6a,
  0x00, //                   push 0
  0x1f, //                         pop  ds
  0x8b,
  0x0e,
  0x6e,
  0x04, //       mov  cx, [0x46e]
  0x8b,
  0x16,
  0x6c,
  0x04, //       mov  dx, [0x46c]
  0x1f, //                         pop  ds
  0x30,
  0xc0, //                   xor  al, al
  0xcf, //                         iret
  ...FAIL, //                  no:
];

/** INT 18h and 19h: nothing to boot from; waits for ever. */
const HALT = [0xfb, 0xf4, 0xeb, 0xfc];

/** Words of the BIOS data area, by address. */
const DATA_AREA: readonly (readonly [address: number, value: number])[] = [
  [0x400, 0x3f8], // COM1
  [0x40e, Address.EBDA >> 4],
  [0x410, EQUIPMENT_WORD],
  [0x413, LOW_KIB],
  [0x449, 0x5003], // video mode 3, low byte of 80 columns
  [0x44a, 80],
  [0x484, 24], // last row
];

/**
 * Puts the calls, their interrupt vectors and the BIOS data area into memory.
 *
 * @param memory The guest's memory
 * @param image The kernel that needs them, for messages
 * @param segment Segment of the kernel's real-mode code, which is entered at offset 0
 * @returns Where the vCPU has to begin so that the timer runs when the kernel is entered
 * @throws {ImageError} If there is no RAM below 1 MiB, or it has more pieces than the map holds
 */
export function installBios(
  memory: GuestMemory,
  image: Image,
  segment: number,
): { cs: number; ip: number } {
  if (ramEnd(memory, 0) < Address.HIGH) {
    throw memoryError(memory, image, "the BIOS's data", Address.HIGH);
  }
  const ranges = memoryMap(memory);
  if (ranges.length > MAP_ENTRIES) {
    throw new ImageError(
      `${image.path}: memory has ${ranges.length} pieces, INT 15h tells of ${MAP_ENTRIES}`,
    );
  }
  ranges.forEach(({ addr, size, type }, i) => {
    const at = SEGMENT * 16 + MAP + i * BootE820Entry.size;
    const entry = new BootE820Entry(memory.view(at, BootE820Entry.size));
    Object.assign(entry, { addr, size, type });
  });
  const extended = ramEnd(memory, Address.HIGH) - Address.HIGH;
  const below16 = Math.min(extended, SIXTEEN_MIB - Address.HIGH);
  const above16 = extended - below16;
  const services: readonly (readonly [vectors: readonly number[], code: readonly number[]])[] = [
    [[], powerOn(segment)],
    [[0x08], TICK],
    [[0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f], IRQ],
    [[0x70, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77], IRQ],
    [[0x10], VIDEO],
    [[0x11], EQUIPMENT],
    [[0x12], LOW_MEMORY],
    [[0x13], DISK],
    [
      [0x15],
      system(
        ranges.length,
        below16 >> 10,
        Math.min(Math.floor(above16 / 0x1_0000), 0xffff),
        Math.min(extended >>> 10, 0xffff),
      ),
    ],
    [[0x16], KEYBOARD],
    [[0x18, 0x19], HALT],
    [[0x1a], CLOCK],
  ];
  const vectors = memory.view(0, 0x400);
  let at = CODE;
  const put = (code: readonly number[]) => {
    memory.write(SEGMENT * 16 + at, Uint8Array.from(code));
    at += code.length;
    return at - code.length;
  };
  const ignore = put([0xcf]);
  for (let i = 0; i < 256; i++) setVector(vectors, i, ignore);
  let entry = CODE;
  for (const [numbers, code] of services) {
    const offset = put(code);
    if (numbers.length === 0) entry = offset;
    for (const number of numbers) setVector(vectors, number, offset);
  }
  const data = memory.view(0x400, 0x100);
  for (const [address, value] of DATA_AREA) data.setUint16(address - 0x400, value, true);
  return { cs: SEGMENT, ip: entry };
}

function setVector(vectors: DataView, number: number, offset: number): void {
  vectors.setUint16(number * 4, offset, true);
  vectors.setUint16(number * 4 + 2, SEGMENT, true);
}
