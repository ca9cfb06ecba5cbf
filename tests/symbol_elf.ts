/**
 * An ELF file of symbols alone, as GDB's `symbol-file` takes it.
 *
 * @module
 */
import type { Symbol } from "../vmm/debug/symbols.ts";

const HEADER = 64;
const SECTION_HEADER = 64;
const SYMBOL = 24;
const SECTIONS = ["", ".text", ".symtab", ".strtab", ".shstrtab"] as const;
const TEXT = 1;
const STRTAB = 3;
const SHSTRTAB = 4;

/**
 * Makes one.
 *
 * @param symbols Functions
 * @returns ELF64 for x86-64, with a .text that has no contents
 */
export function symbolElf(symbols: readonly Symbol[]): Uint8Array<ArrayBuffer> {
  const sorted = symbols.toSorted((a, b) => a.address < b.address ? -1 : 1);
  const [start, end] = [sorted[0]!.address, sorted.at(-1)!.address + 4096n];
  const names = strings(sorted.map(({ name }) => name));
  const sectionNames = strings(SECTIONS.slice(1));
  const table = new DataView(new ArrayBuffer(SYMBOL * (sorted.length + 1)));
  for (const [i, { address, size }] of sorted.entries()) {
    const at = SYMBOL * (i + 1);
    table.setUint32(at, names.offsets[i]!, true);
    table.setUint8(at + 4, 0x12); // STB_GLOBAL, STT_FUNC
    table.setUint16(at + 6, TEXT, true);
    table.setBigUint64(at + 8, address, true);
    table.setBigUint64(at + 16, BigInt(size), true);
  }

  const pieces = [new Uint8Array(table.buffer), names.bytes, sectionNames.bytes];
  const offsets = pieces.map((_, i) =>
    pieces.slice(0, i).reduce((sum, { length }) => sum + length, HEADER)
  );
  const headers = HEADER + pieces.reduce((sum, { length }) => sum + length, 0);
  const file = new Uint8Array(headers + SECTION_HEADER * SECTIONS.length);
  const view = new DataView(file.buffer);
  pieces.forEach((piece, i) => file.set(piece, offsets[i]));

  view.setUint32(0, 0x464c457f, true);
  file.set([2, 1, 1], 4); // ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(40, BigInt(headers), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(58, SECTION_HEADER, true);
  view.setUint16(60, SECTIONS.length, true);
  view.setUint16(62, SHSTRTAB, true);

  const section = (
    index: number,
    type: number,
    place: { address?: bigint; offset?: number; size: number | bigint },
    more: { flags?: number; link?: number; info?: number; entry?: number } = {},
  ) => {
    const at = headers + SECTION_HEADER * index;
    view.setUint32(at, sectionNames.offsets[index - 1]!, true);
    view.setUint32(at + 4, type, true);
    view.setBigUint64(at + 8, BigInt(more.flags ?? 0), true);
    view.setBigUint64(at + 16, place.address ?? 0n, true);
    view.setBigUint64(at + 24, BigInt(place.offset ?? 0), true);
    view.setBigUint64(at + 32, BigInt(place.size), true);
    view.setUint32(at + 40, more.link ?? 0, true);
    view.setUint32(at + 44, more.info ?? 0, true);
    view.setBigUint64(at + 48, 1n, true);
    view.setBigUint64(at + 56, BigInt(more.entry ?? 0), true);
  };
  section(TEXT, 8, { address: start, size: end - start }, { flags: 6 }); // NOBITS, ALLOC and EXECINSTR
  section(2, 2, { offset: offsets[0]!, size: pieces[0]!.length }, {
    link: STRTAB,
    info: 1,
    entry: SYMBOL,
  });
  section(STRTAB, 3, { offset: offsets[1]!, size: pieces[1]!.length });
  section(SHSTRTAB, 3, { offset: offsets[2]!, size: pieces[2]!.length });
  return file;
}

/** A string table. */
function strings(names: readonly string[]) {
  const offsets: number[] = [];
  let text = "\0";
  for (const name of names) {
    offsets.push(text.length);
    text += `${name}\0`;
  }
  return { offsets, bytes: new TextEncoder().encode(text) };
}
