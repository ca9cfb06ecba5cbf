/**
 * The symbol table of an ELF file (System V ABI, chapter 4).
 *
 * @module
 */
import type { Image } from "../boot/image.ts";
import { viewOf } from "../boot/image.ts";
import type { Symbol } from "./symbols.ts";

const ELFCLASS64 = 2;
const SHT_SYMTAB = 2;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const STT_NOTYPE = 0;
const STT_FUNC = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
/** More than any kernel has. */
const MOST_SYMBOLS = 4_000_000;
const MOST_NAME = 512;

/** Where the fields lie, by class. */
const LAYOUT = {
  32: { shoff: 32, shentsize: 46, offset: 16, size: 20, link: 24, symbol: 16 },
  64: { shoff: 40, shentsize: 58, offset: 24, size: 32, link: 40, symbol: 24 },
} as const;

/**
 * Reads a file's symbol table.
 *
 * @param image The file
 * @returns Functions first, so that they name an address that has several; empty if it has no table or
 *   one that points outside of the file
 */
export function elfSymbols(image: Image): Symbol[] {
  const { bytes } = image;
  if (bytes.length < 64) return [];
  const view = viewOf(bytes);
  const bits = bytes[4] === ELFCLASS64 ? 64 : 32;
  const layout = LAYOUT[bits];
  const word = (at: number) =>
    bits === 64
      ? view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
      : view.getUint32(at, true);
  const shoff = word(layout.shoff);
  const shentsize = view.getUint16(layout.shentsize, true);
  const shnum = view.getUint16(layout.shentsize + 2, true);
  const section = (index: number) => {
    const at = shoff + index * shentsize;
    if (index >= shnum || shentsize < 40 || at + shentsize > bytes.length) return undefined;
    const offset = word(at + layout.offset);
    const size = word(at + layout.size);
    if (offset + size > bytes.length) return undefined;
    return {
      type: view.getUint32(at + 4, true),
      offset,
      size,
      link: view.getUint32(at + layout.link, true),
    };
  };
  for (let i = 0; i < shnum; i++) {
    const table = section(i);
    if (table?.type !== SHT_SYMTAB) continue;
    const names = section(table.link);
    if (names === undefined) return [];
    const strings = bytes.subarray(names.offset, names.offset + names.size);
    return readTable(view, bits, table, strings);
  }
  return [];
}

function readTable(
  view: DataView,
  bits: 32 | 64,
  { offset, size }: { offset: number; size: number },
  strings: Uint8Array,
): Symbol[] {
  const step = LAYOUT[bits].symbol;
  const functions: Symbol[] = [];
  const others: Symbol[] = [];
  const count = Math.min(Math.floor(size / step), MOST_SYMBOLS);
  for (let i = 1; i < count; i++) {
    const at = offset + i * step;
    const wide = bits === 64;
    const type = view.getUint8(at + (wide ? 4 : 12)) & 0xf;
    const shndx = view.getUint16(at + (wide ? 6 : 14), true);
    if (shndx === SHN_UNDEF || shndx === SHN_ABS) continue; // per-CPU offsets and sizes are absolute
    if (type === STT_SECTION || type === STT_FILE) continue;
    const name = stringAt(strings, view.getUint32(at, true));
    if (name === "") continue;
    const symbol = {
      name,
      address: wide ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true)),
      size: wide ? Number(view.getBigUint64(at + 16, true)) : view.getUint32(at + 8, true),
    };
    (type === STT_FUNC || (type === STT_NOTYPE && symbol.size > 0) ? functions : others)
      .push(symbol);
  }
  return [...functions, ...others];
}

const decoder = new TextDecoder();

/**
 * A string of a string table.
 *
 * @param strings The table
 * @param start Where it starts
 * @returns The string; empty if it starts outside
 */
export function stringAt(strings: Uint8Array, start: number): string {
  if (start >= strings.length) return "";
  const end = strings.indexOf(0, start);
  const stop = Math.min(end < 0 ? strings.length : end, start + MOST_NAME);
  return decoder.decode(strings.subarray(start, stop));
}
