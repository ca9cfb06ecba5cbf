/**
 * Machine code of the BIOS calls, as listings (`listing.ts`).
 *
 * @module
 */

const byte = (value: number) => value.toString(16).padStart(2, "0");
const word = (value: number) => `${byte(value & 0xff)} ${byte(value >> 8)}`;

/** Ends a call with carry set in the caller's flags: it failed. */
const FAIL = `
  55                   | push bp
  89 e5                | mov bp, sp
  80 4e 06 01          | or byte [bp+6], 1
  5d                   | pop bp
  cf                   | iret`;

/** Ends a call with carry clear in the caller's flags. */
const SUCCEED = `
  55                   | push bp
  89 e5                | mov bp, sp
  80 66 06 fe          | and byte [bp+6], 0xfe
  5d                   | pop bp
  cf                   | iret`;

/**
 * What firmware does before all: interrupt controllers at vectors 8 and 0x70 with the timer's input
 * open (ICW1 to ICW4, then the masks), the timer at 18.2 Hz, and on to `segment`:0.
 */
export const powerOn = (segment: number) => `
  b0 11                | mov al, 0x11
  e6 20                | out 0x20, al
  e6 a0                | out 0xa0, al
  b0 08                | mov al, 8
  e6 21                | out 0x21, al
  b0 70                | mov al, 0x70
  e6 a1                | out 0xa1, al
  b0 04                | mov al, 4
  e6 21                | out 0x21, al
  b0 02                | mov al, 2
  e6 a1                | out 0xa1, al
  b0 01                | mov al, 1
  e6 21                | out 0x21, al
  e6 a1                | out 0xa1, al
  b0 fe                | mov al, 0xfe
  e6 21                | out 0x21, al
  b0 ff                | mov al, 0xff
  e6 a1                | out 0xa1, al
  b0 36                | mov al, 0x36
  e6 43                | out 0x43, al
  30 c0                | xor al, al
  e6 40                | out 0x40, al
  e6 40                | out 0x40, al
  ea 00 00 ${word(segment)} | jmp segment:0`;

/** A vector that nothing is behind. */
export const IGNORE = `
  cf                   | iret`;

/** INT 8: counts a tick at 0040:006C. */
export const TICK = `
  50                   | push ax
  1e                   | push ds
  31 c0                | xor ax, ax
  8e d8                | mov ds, ax
  66 ff 06 6c 04       | inc dword [0x46c]
  b0 20                | mov al, 0x20
  e6 20                | out 0x20, al
  1f                   | pop ds
  58                   | pop ax
  cf                   | iret`;

/** Any other interrupt request: says that it is done. */
export const IRQ = `
  50                   | push ax
  b0 20                | mov al, 0x20
  e6 a0                | out 0xa0, al
  e6 20                | out 0x20, al
  58                   | pop ax
  cf                   | iret`;

/** INT 10h: AH=0Eh puts a character out; AH=03h and 0Fh tell of an 80-column text display. */
export const VIDEO = `
  80 fc 0e             | cmp ah, 0x0e
  74 16                | je character
  80 fc 03             | cmp ah, 3
  74 0b                | je cursor
  80 fc 0f             | cmp ah, 0x0f
  75 05                | jne done
  b8 03 50             | mov ax, 0x5003
  30 ff                | xor bh, bh
  done: cf             | iret
  cursor: b9 07 06     | mov cx, 0x0607
  31 d2                | xor dx, dx
  cf                   | iret
  character: 52        | push dx
  50                   | push ax
  ba fd 03             | mov dx, 0x3fd
  wait: ec             | in al, dx
  a8 20                | test al, 0x20
  74 fb                | je wait
  58                   | pop ax
  ba f8 03             | mov dx, 0x3f8
  ee                   | out dx, al
  5a                   | pop dx
  cf                   | iret`;

/** INT 11h and 12h: a word that doesn't change. */
export const answer = (value: number) => `
  b8 ${word(value)}    | mov ax, value
  cf                   | iret`;

/** INT 13h: there are no disks. */
export const DISK = `
  b4 01                | mov ah, 1
  ${FAIL}`;

/** What INT 15h tells of memory. */
export interface MemoryAnswers {
  /** Offset of the E820h map in the BIOS's segment. */
  readonly map: number;
  /** Its entries, at most 127. */
  readonly entries: number;
  /** AX=E801h: KiB from 1 to 16 MiB, and blocks of 64 KiB from there on. */
  readonly below16: number;
  readonly above16: number;
  /** AH=88h: KiB from 1 MiB on. */
  readonly extended: number;
}

/** INT 15h: AX=E820h, AX=E801h and AH=88h tell of memory, AH=24h of an A20 gate that is open. */
export const system = ({ map, entries, below16, above16, extended }: MemoryAnswers) => `
  3d 20 e8             | cmp ax, 0xe820
  74 30                | je e820
  3d 01 e8             | cmp ax, 0xe801
  74 1a                | je e801
  80 fc 88             | cmp ah, 0x88
  74 21                | je e88
  80 fc 24             | cmp ah, 0x24
  74 0b                | je a20
  no: b4 86            | mov ah, 0x86
  ${FAIL}
  a20: b8 01 00        | mov ax, 1
  eb 4a                | jmp yes
  e801: b8 ${word(below16)} | mov ax, below16
  bb ${word(above16)}  | mov bx, above16
  89 c1                | mov cx, ax
  89 da                | mov dx, bx
  eb 3e                | jmp yes
  e88: b8 ${word(extended)} | mov ax, extended
  eb 39                | jmp yes
  e820: 66 81 fa 50 41 4d 53 | cmp edx, "SMAP"
  75 d6                | jne no
  83 fb ${byte(entries)} | cmp bx, entries
  73 d1                | jae no
  1e                   | push ds
  56                   | push si
  57                   | push di
  0e                   | push cs
  1f                   | pop ds
  6b f3 14             | imul si, bx, 20
  81 c6 ${word(map)}   | add si, map
  b9 0a 00             | mov cx, 10
  fc                   | cld
  f3 a5                | rep movsw
  5f                   | pop di
  5e                   | pop si
  1f                   | pop ds
  43                   | inc bx
  66 0f b7 db          | movzx ebx, bx
  83 fb ${byte(entries)} | cmp bx, entries
  72 03                | jb more
  66 31 db             | xor ebx, ebx
  more: 66 89 d0       | mov eax, edx
  66 b9 14 00 00 00    | mov ecx, 20
  yes: ${SUCCEED.trim()}`;

/** INT 16h: AH=00h and 10h wait for a character, AH=01h and 11h tell whether there is one. */
export const KEYBOARD = `
  fb                   | sti
  52                   | push dx
  ba fd 03             | mov dx, 0x3fd
  f6 c4 0f             | test ah, 0x0f
  75 0c                | jne peek
  wait: ec             | in al, dx
  a8 01                | test al, 1
  74 fb                | je wait
  b2 f8                | mov dl, 0xf8
  ec                   | in al, dx
  30 e4                | xor ah, ah
  5a                   | pop dx
  cf                   | iret
  peek: 55             | push bp
  89 e5                | mov bp, sp
  80 4e 08 40          | or byte [bp+8], 0x40
  ec                   | in al, dx
  3c ff                | cmp al, 0xff
  74 08                | je none
  a8 01                | test al, 1
  74 04                | je none
  80 66 08 bf          | and byte [bp+8], 0xbf
  none: 31 c0          | xor ax, ax
  5d                   | pop bp
  5a                   | pop dx
  cf                   | iret`;

/** INT 18h and 19h: nothing else to boot from; waits for ever. */
export const HALT = `
  wait: fb             | sti
  f4                   | hlt
  eb fc                | jmp wait`;

/** INT 1Ah: AH=00h reads the ticks. */
export const CLOCK = `
  84 e4                | test ah, ah
  75 10                | jne no
  1e                   | push ds
  6a 00                | push 0
  1f                   | pop ds
  8b 0e 6e 04          | mov cx, [0x46e]
  8b 16 6c 04          | mov dx, [0x46c]
  1f                   | pop ds
  30 c0                | xor al, al
  cf                   | iret
  no: ${FAIL.trim()}`;
