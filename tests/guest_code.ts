/**
 * Tiny guests, assembled by hand. Each is a listing: on every line the bytes, two spaces or more,
 * and what they say.
 *
 * @module
 */

/**
 * Takes the bytes out of a listing.
 *
 * @param text Lines of hexadecimal bytes, each with its instruction behind two spaces
 * @returns The bytes
 */
export function listing(text: string): Uint8Array<ArrayBuffer> {
  const lines = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  const hex = lines.map((line) => line.split("  ")[0]!.replaceAll(" ", ""));
  return Uint8Array.fromHex(hex.join(""));
}

/** Writes H and a newline to the first serial port and halts. Real mode. */
export const HELLO = listing(`
  ba f8 03              mov dx, 0x3f8
  b0 48                 mov al, 'H'
  ee                    out dx, al
  b0 0a                 mov al, '\\n'
  ee                    out dx, al
  f4                    hlt
`);

/** Halts. Any mode. */
export const HALT = listing(`f4  hlt`);

/** Spins for ever. Any mode. */
export const SPIN = listing(`eb fe  jmp $`);

/** Ends with a status of its own. Any mode. */
export function exitWith(status: number): Uint8Array<ArrayBuffer> {
  return listing(`
    b0 ${status.toString(16).padStart(2, "0")}                mov al, status
    e6 f4                 out 0xf4, al
    eb fe                 jmp $
  `);
}

/** An instruction that no CPU has. With no IDT it is a triple fault. Protected or long mode. */
export const UNDEFINED = listing(`0f 0b  ud2`);

/** `lidt` of an empty table, then #BP: a triple fault. Real mode. */
export const REAL_TRIPLE_FAULT = listing(`
  0f 01 1e 06 7c        lidt [0x7c06]         ; at 0000:7c00, the zeros below
  cc                    int3
  00 00 00 00 00 00     limit and base
`);

/** Reads memory that isn't there by an instruction that KVM's emulator lacks. Protected mode. */
export const NOT_EMULATED = listing(`
  0f fe 05 00 00 00 d0  paddd mm0, [0xd0000000]
  f4                    hlt
`);

/** Says on the debug console which mode it runs in, R, P or L, and halts. Any mode. */
export const MODE = listing(`
  0f 01 e0              smsw eax              ; CR0's low word, encoded alike in every mode
  a8 01                 test al, 1            ; CR0.PE
  74 0c                 jz real
  31 c0                 xor eax, eax
  40 90                 inc eax; nop          ; in long mode 40 is a REX prefix: eax stays 0
  85 c0                 test eax, eax
  74 08                 jz long
  b0 50                 mov al, 'P'
  eb 06                 jmp out
  b0 52                 mov al, 'R'           ; real:
  eb 02                 jmp out
  b0 4c                 mov al, 'L'           ; long:
  e6 e9                 out 0xe9, al          ; out:
  f4                    hlt
`);

/** Counts for ever in the 32-bit word at 0x10000. Real mode. */
export const COUNT = listing(`
  b8 00 10              mov ax, 0x1000
  8e d8                 mov ds, ax
  66 ff 06 00 00        inc dword [0]         ; again:
  eb f9                 jmp again
`);

/** Writes 0, 1, … 255, 0, 1, … to the first serial port for ever. Real mode. */
export const FLOOD = listing(`
  ba f8 03              mov dx, 0x3f8
  b0 00                 mov al, 0
  ee                    out dx, al            ; again:
  fe c0                 inc al
  eb fb                 jmp again
`);

/** Sends back what comes on the first serial port; a newline ends it with status 7. Real mode. */
export const ECHO = listing(`
  ba fd 03              mov dx, 0x3fd         ; start: the line status register
  ec                    in al, dx             ; wait:
  a8 01                 test al, 1            ; data ready
  74 fb                 jz wait
  ba f8 03              mov dx, 0x3f8
  ec                    in al, dx
  ee                    out dx, al
  3c 0a                 cmp al, '\\n'
  75 ef                 jne start
  b0 07                 mov al, 7
  e6 f4                 out 0xf4, al
  f4                    hlt
`);

/** Says on the debug console whether CPUID has cx16, 0 or 1, and halts. Real mode. */
export const CX16 = listing(`
  66 b8 01 00 00 00     mov eax, 1
  0f a2                 cpuid
  b0 30                 mov al, '0'
  66 0f ba e1 0d        bt ecx, 13            ; CPUID.01H:ECX.CMPXCHG16B
  14 00                 adc al, 0
  e6 e9                 out 0xe9, al
  f4                    hlt
`);

/** 80 writes to port 0x300, then halts. Real mode. */
export const EIGHTY_WRITES = listing(`
  b9 50 00              mov cx, 80
  ba 00 03              mov dx, 0x300
  ee                    out dx, al            ; again:
  e2 fd                 loop again
  f4                    hlt
`);

/** The first of two CPUs, at 0x10000 in protected mode: starts the other one and waits for it. */
export const FIRST_CPU = listing(`
  bb 00 03 e0 fe        mov ebx, 0xfee00300   ; the local APIC's interrupt command register
  c7 43 10 00 00 00 00  mov dword [ebx+0x10], 0
  c7 03 00 45 0c 00     mov dword [ebx], 0xc4500  ; INIT to all but itself
  c7 03 11 46 0c 00     mov dword [ebx], 0xc4611  ; SIPI, to start at 0x11000
  f3 90                 pause                 ; wait:
  80 3d f0 1f 01 00 00  cmp byte [0x11ff0], 0
  74 f5                 je wait
  b0 42                 mov al, 'B'
  66 ba f8 03           mov dx, 0x3f8
  ee                    out dx, al
  b0 00                 mov al, 0
  e6 f4                 out 0xf4, al
  f4                    hlt
`);

/** The second CPU, at 0x11000 in real mode as SIPI leaves it: CS base 0x11000, IP 0. */
export const SECOND_CPU = listing(`
  b0 41                 mov al, 'A'
  ba f8 03              mov dx, 0x3f8
  ee                    out dx, al
  2e c6 06 f0 0f 01     mov byte [cs:0xff0], 1
  f4                    hlt                   ; sleep:
  eb fd                 jmp sleep
`);

/** Accesses of every width to ports 0x300 and 0x310 and to memory at 0xd0000000. Long mode. */
export const ACCESSES = listing(`
  ba 00 03 00 00                 mov edx, 0x300
  b8 11 22 33 44                 mov eax, 0x44332211
  ee                             out dx, al
  66 ef                          out dx, ax
  ef                             out dx, eax
  ec                             in al, dx
  66 ed                          in ax, dx
  ed                             in eax, dx
  ef                             out dx, eax
  ba 10 03 00 00                 mov edx, 0x310
  ef                             out dx, eax
  ba 06 03 00 00                 mov edx, 0x306
  ed                             in eax, dx
  ba 00 03 00 00                 mov edx, 0x300
  ef                             out dx, eax
  bb 00 00 00 d0                 mov ebx, 0xd0000000
  48 b8 11 22 33 44 55 66 77 88  mov rax, 0x8877665544332211
  88 03                          mov [rbx], al
  66 89 43 02                    mov [rbx + 2], ax
  89 43 04                       mov [rbx + 4], eax
  48 89 43 08                    mov [rbx + 8], rax
  48 8b 43 08                    mov rax, [rbx + 8]
  ef                             out dx, eax
  48 c1 e8 20                    shr rax, 32
  ef                             out dx, eax
  8b 43 01                       mov eax, [rbx + 1]
  ef                             out dx, eax
  8b 43 0e                       mov eax, [rbx + 14]
  ef                             out dx, eax
  48 8d 35 2f 00 00 00           lea rsi, [rip + data]
  b9 03 00 00 00                 mov ecx, 3
  66 f3 6f                       rep outsw
  48 8d 3d 20 00 00 00           lea rdi, [rip + data]
  b9 04 00 00 00                 mov ecx, 4
  f3 6c                          rep insb
  8b 05 13 00 00 00              mov eax, [rip + data]
  ef                             out dx, eax
  48 8d 35 0b 00 00 00           lea rsi, [rip + data]
  48 89 df                       mov rdi, rbx
  b9 02 00 00 00                 mov ecx, 2
  f3 a5                          rep movsd
  f4                             hlt
  01 02 03 04 05 06 07 08        data
`);
