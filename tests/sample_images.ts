/**
 * Small kernels made by hand, for tests: the right shape, no code that means anything.
 *
 * @module
 */
import { GuestMemory } from "../vmm/guest_memory.ts";
import { MULTIBOOT_HEADER_MAGIC, MultibootHeader } from "../vmm/boot/multiboot_header.ts";
import { SETUP_HEADER_OFFSET, type SetupField, SetupHeader } from "../vmm/boot/setup_header.ts";

/** Memory of one piece of RAM from address 0 on. */
export function ramOf(bytes: number): GuestMemory {
  return new GuestMemory([{ base: 0, buffer: new ArrayBuffer(bytes), ram: true }]);
}

/** Bytes with a pattern that shows a shifted or missing copy. */
export function patterned(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + seed * 13 + (i >> 8)) & 0xff);
}

/** Several pieces, one behind the other. */
export function joined(...pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A PT_LOAD segment to put into an ELF. */
export interface SampleSegment {
  readonly vaddr: bigint;
  readonly paddr: number;
  readonly data: Uint8Array;
  readonly memsz?: number;
}

/** A note to put into an ELF. */
export interface SampleNote {
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

/** Makes an ELF: header, program headers, notes, then the segments' bytes. */
export function sampleElf(
  bits: 32 | 64,
  entry: bigint,
  segments: readonly SampleSegment[],
  notes: readonly SampleNote[] = [],
): Uint8Array<ArrayBuffer> {
  const wide = bits === 64;
  const [ehsize, phsize] = wide ? [64, 56] : [52, 32];
  const noteBytes = joined(...notes.map(noteOf));
  const phnum = segments.length + (notes.length > 0 ? 1 : 0);
  const header = new Uint8Array(ehsize + phnum * phsize);
  const view = new DataView(header.buffer);
  const wordOf = (at: number, value: bigint) =>
    wide ? view.setBigUint64(at, value, true) : view.setUint32(at, Number(value), true);
  header.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, wide ? 62 : 3, true);
  view.setUint32(20, 1, true);
  wordOf(24, entry);
  wordOf(wide ? 32 : 28, BigInt(ehsize));
  view.setUint16(wide ? 54 : 42, phsize, true);
  view.setUint16(wide ? 56 : 44, phnum, true);
  let next = header.length;
  const place = (
    i: number,
    type: number,
    { vaddr, paddr, data, memsz = data.length }: SampleSegment,
  ) => {
    const at = ehsize + i * phsize;
    view.setUint32(at, type, true);
    const offset = BigInt(next);
    const words = [offset, vaddr, BigInt(paddr), BigInt(data.length), BigInt(memsz)];
    const first = wide ? at + 8 : at + 4;
    words.forEach((word, j) => wordOf(first + j * (wide ? 8 : 4), word));
    next += data.length;
  };
  if (notes.length > 0) place(phnum - 1, 4, { vaddr: 0n, paddr: 0, data: noteBytes });
  segments.forEach((segment, i) => place(i, 1, segment));
  return joined(header, noteBytes, ...segments.map(({ data }) => data));
}

function noteOf({ name, type, desc }: SampleNote): Uint8Array {
  const padded = (bytes: Uint8Array) =>
    joined(bytes, new Uint8Array(Math.ceil(bytes.length / 4) * 4 - bytes.length));
  const text = new TextEncoder().encode(`${name}\0`);
  return joined(
    new Uint8Array(Uint32Array.of(text.length, desc.length, type).buffer),
    padded(text),
    padded(desc),
  );
}

/** Makes a bzImage of two setup sectors: protocol 2.15, 64-bit entry, unless `fields` say else. */
export function sampleBzImage(
  code: Uint8Array,
  fields: Partial<Record<SetupField, number>> = {},
): Uint8Array<ArrayBuffer> {
  const setup = new Uint8Array(3 * 512);
  const header = new SetupHeader(new DataView(setup.buffer), SETUP_HEADER_OFFSET);
  Object.assign(header, {
    setup_sects: 2,
    syssize: Math.ceil(code.length / 16),
    boot_flag: 0xaa55,
    jump: 0x6aeb,
    header: 0x5372_6448,
    version: 0x20f,
    loadflags: 1,
    code32_start: 0x10_0000,
    initrd_addr_max: 0x7fff_ffff,
    kernel_alignment: 0x20_0000,
    relocatable_kernel: 1,
    xloadflags: 1,
    cmdline_size: 2047,
    pref_address: 0x20_0000,
    init_size: 0x10_0000,
    ...fields,
  });
  return joined(setup, code);
}

/** Makes a multiboot kernel that gives its own addresses, loaded at 1 MiB. */
export function sampleMultiboot(
  code: Uint8Array,
  fields: Partial<Record<keyof typeof MultibootHeader.offsets, number>> = {},
): Uint8Array<ArrayBuffer> {
  const header = new MultibootHeader();
  const size = MultibootHeader.size + code.length;
  Object.assign(header, {
    magic: MULTIBOOT_HEADER_MAGIC,
    flags: 0x1_0003,
    header_addr: 0x10_0000,
    load_addr: 0x10_0000,
    load_end_addr: 0x10_0000 + size,
    bss_end_addr: 0x10_0000 + size + 0x1000,
    entry_addr: 0x10_0000 + MultibootHeader.size,
    ...fields,
  });
  header.checksum = fields.checksum ?? -(MULTIBOOT_HEADER_MAGIC + header.flags) >>> 0;
  return joined(header.bytes(), code);
}
