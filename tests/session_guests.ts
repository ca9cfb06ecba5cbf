/**
 * What the sessions of the documentation are about: a kernel, a boot sector and others, each of a few
 * bytes.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { joined, sampleBzImage, sampleElf } from "./sample_images.ts";
import { listing } from "./guest_code.ts";

const MIB = 1 << 20;
/** Where a bzImage's payload starts; its 32-bit code would lie before. */
const PAYLOAD = 16;

/**
 * Says the low byte of the ID of each virtio device on PCI bus 0, and ends: A is for network, B for
 * block (virtio 1.2, 4.1.2.1).
 */
const LIST_VIRTIO = listing(`
  be 00 00 00 80        mov esi, 0x80000000   ; bus 0, device 0
  89 f0                 mov eax, esi          ; again:
  66 ba f8 0c           mov dx, 0xcf8         ; CONFIG_ADDRESS
  ef                    out dx, eax
  b2 fc                 mov dl, 0xfc
  ed                    in eax, dx
  66 3d f4 1a           cmp ax, 0x1af4
  75 08                 jne next
  c1 e8 10              shr eax, 16
  66 ba f8 03           mov dx, 0x3f8
  ee                    out dx, al
  81 c6 00 08 00 00     add esi, 0x800        ; next: the next device
  81 fe 00 00 01 80     cmp esi, 0x80010000
  75 da                 jne again
  b0 0a                 mov al, '\\n'
  66 ba f8 03           mov dx, 0x3f8
  ee                    out dx, al
  30 c0                 xor al, al
  e6 f4                 out 0xf4, al
`);

/** A compressed kernel, a bzImage, that lists the virtio devices it has. */
export function deviceKernel(): Uint8Array<ArrayBuffer> {
  const segment = { vaddr: BigInt(MIB), paddr: MIB, data: LIST_VIRTIO };
  const payload = new Uint8Array(gzipSync(sampleElf(64, BigInt(MIB), [segment])));
  return sampleBzImage(joined(new Uint8Array(PAYLOAD), payload), {
    payload_offset: PAYLOAD,
    payload_length: payload.length,
  });
}

/** Says R, and what has happened when a machine check comes. Real mode. */
export const MACHINE_CHECK_HANDLER = joined(
  listing(`
    31 c0                 xor ax, ax
    8e d8                 mov ds, ax
    8e d0                 mov ss, ax
    bc 00 7c              mov sp, 0x7c00
    c7 06 48 00 33 7c     mov word [0x48], 0x7c33   ; vector 18
    a3 4a 00              mov [0x4a], ax
    66 b8 40 00 00 00     mov eax, 0x40             ; CR4.MCE
    0f 22 e0              mov cr4, eax
    66 b9 10 04 00 00     mov ecx, 0x410            ; IA32_MC4_CTL
    66 83 c8 ff           or eax, -1
    66 83 ca ff           or edx, -1
    0f 30                 wrmsr
    ba f8 03              mov dx, 0x3f8
    b0 52                 mov al, 'R'
    ee                    out dx, al
    eb fe                 jmp $
    be 41 7c              mov si, 0x7c41            ; 7c33
    ba f8 03              mov dx, 0x3f8
    ac                    lodsb                     ; again:
    ee                    out dx, al
    3c 0a                 cmp al, '\\n'
    75 fa                 jne again
    eb fe                 jmp $
  `),
  new TextEncoder().encode("Machine check\n"),
);

/** Waits for a byte at 0x20000. Ends with 0, unless it is an exclamation mark: then with 1. Real mode. */
export const FUZZED = listing(`
  b8 00 20              mov ax, 0x2000
  8e d8                 mov ds, ax
  a0 00 00              mov al, [0]           ; again:
  84 c0                 test al, al
  74 f9                 jz again
  3c 21                 cmp al, '!'
  74 04                 je bad
  30 c0                 xor al, al
  e6 f4                 out 0xf4, al
  b0 01                 mov al, 1             ; bad:
  e6 f4                 out 0xf4, al
`);

/** Reads the line status register for ever. Real mode. */
export const POLL = listing(`
  ba fd 03              mov dx, 0x3fd
  ec                    in al, dx             ; again:
  eb fd                 jmp again
`);
