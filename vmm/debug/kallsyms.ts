/**
 * The tables in which Linux keeps its symbols (scripts/kallsyms.c of the kernel), decoded from a piece of
 * memory that holds them. They carry no header: the token table is known by its looks, since each digit
 * stands for itself in it, and the others by their places beside it.
 *
 *     up to 6.3   offsets, relative_base, num_syms, names, markers, [seqs_of_names], token_table, token_index
 *     since 6.4   num_syms, names, markers, token_table, token_index, offsets, relative_base, seqs_of_names
 *
 * Each begins on a multiple of 8 bytes.
 *
 * @module
 */
import type { Symbol } from "./symbols.ts";

const TOKENS = 256;
const ZERO = 0x30;
const SYMBOLS_A_MARKER = 256;
/** Linux has some 100,000; fewer than the least are no kernel's. */
const LEAST_SYMBOLS = 1000;
const MOST_SYMBOLS = 4_000_000;
/** How far the names, markers and 6.2's sequence numbers reach before the token table. */
const MOST_BEFORE = 24 * 2 ** 20;
/** Names that are followed in search of the right ones. */
const MOST_STEPS = 50_000_000;
/** A name is at most KSYM_NAME_LEN, 512 since 6.1, and each token stands for a character at least. */
const MOST_TOKENS = 512;
const KERNEL_HALF = 0xffff_ffff_8000_0000n;

/** What begins the digits of a token table. */
export const DIGIT_TOKENS: Uint8Array<ArrayBuffer> = new TextEncoder().encode(
  Array.from({ length: 10 }, (_, digit) => `${digit}\0`).join(""),
);

const align8 = (at: number) => Math.ceil(at / 8) * 8;

/**
 * Decodes the tables.
 *
 * @param bytes The memory, from a multiple of 8 on
 * @param digits Where {@linkcode DIGIT_TOKENS} were found in it
 * @returns The kernel's symbols in ascending order of address, but for per-CPU offsets; undefined if it
 *   is no kallsyms, or of a layout that is not known
 */
export function decodeKallsyms(bytes: Uint8Array, digits: number): Symbol[] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = findTokens(bytes, view, digits);
  if (tokens === undefined) return undefined;
  const budget = { steps: MOST_STEPS };
  const first = Math.max(0, tokens.start - MOST_BEFORE);
  for (let at = tokens.start - 16; at >= first && budget.steps > 0; at -= 8) {
    const count = view.getUint32(at, true);
    if (count < LEAST_SYMBOLS || count > MOST_SYMBOLS || view.getUint32(at + 4, true) !== 0) {
      continue;
    }
    if (!namesAreAt(bytes, at + 8, count, tokens.start, budget)) continue;
    const addresses = addressesBeside(view, at, count, tokens.end);
    if (addresses !== undefined) return decodeNames(bytes, at + 8, count, tokens.text, addresses);
  }
  return undefined;
}

interface Tokens {
  readonly start: number;
  /** Behind the index. */
  readonly end: number;
  readonly text: readonly string[];
}

/** The token table around its digits; its index behind it must say the same. */
function findTokens(bytes: Uint8Array, view: DataView, digits: number): Tokens | undefined {
  let at = digits;
  for (let token = ZERO; token < TOKENS; token++) {
    const end = bytes.indexOf(0, at);
    if (end < 0 || end - at > MOST_TOKENS) return undefined;
    at = end + 1;
  }
  for (let index = at; index < at + 8; index++) {
    if (index + 2 * TOKENS > bytes.length) return undefined;
    if (view.getUint16(index, true) !== 0) continue;
    const start = digits - view.getUint16(index + 2 * ZERO, true);
    if (start < 0 || start % 8 !== 0 || index % 8 !== 0) continue;
    const text = tokenText(bytes, view, start, index);
    if (text !== undefined) return { start, end: index + 2 * TOKENS, text };
  }
  return undefined;
}

function tokenText(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  index: number,
): string[] | undefined {
  const text: string[] = [];
  const decoder = new TextDecoder("latin1");
  let at = start;
  for (let token = 0; token < TOKENS; token++) {
    if (start + view.getUint16(index + 2 * token, true) !== at) return undefined;
    const end = bytes.indexOf(0, at);
    if (end < 0 || end >= index) return undefined;
    text.push(decoder.decode(bytes.subarray(at, end)));
    at = end + 1;
  }
  return text;
}

/** The length of a name, and where its tokens start: one byte, or two since 6.1 (ULEB128). */
function nameLength(bytes: Uint8Array, at: number): number {
  const low = bytes[at]!;
  return low < 0x80 ? low : (low & 0x7f) | (bytes[at + 1]! << 7);
}

/** Whether names begin here: the markers behind them say where each 256th one starts. */
function namesAreAt(
  bytes: Uint8Array,
  start: number,
  count: number,
  limit: number,
  budget: { steps: number },
): boolean {
  const steps: number[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    if (i % SYMBOLS_A_MARKER === 0) steps.push(at - start);
    const length = nameLength(bytes, at);
    if (length === 0 || length > MOST_TOKENS || budget.steps-- <= 0) return false;
    at += (bytes[at]! < 0x80 ? 1 : 2) + length;
    if (at >= limit) return false;
  }
  const markers = align8(at);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (markers + 4 * steps.length > limit) return false;
  return steps.every((step, i) => view.getUint32(markers + 4 * i, true) === step);
}

/** The addresses, before the count or behind the token index; undefined if neither place has them. */
function addressesBeside(
  view: DataView,
  countAt: number,
  count: number,
  tokensEnd: number,
): BigUint64Array | undefined {
  const size = align8(4 * count);
  const later = tokensEnd + size;
  if (later + 8 <= view.byteLength) {
    const found = decodeOffsets(view, tokensEnd, count, view.getBigUint64(later, true));
    if (found !== undefined) return found;
  }
  const earlier = countAt - 8 - size;
  if (earlier < 0) return undefined;
  return decodeOffsets(view, earlier, count, view.getBigUint64(countAt - 8, true));
}

/**
 * CONFIG_KALLSYMS_ABSOLUTE_PERCPU has what is absolute as it is, and all else counted downwards from
 * relative_base - 1; without it all are counted upwards from relative_base.
 */
function decodeOffsets(
  view: DataView,
  at: number,
  count: number,
  base: bigint,
): BigUint64Array | undefined {
  if (base < KERNEL_HALF || base % 4096n !== 0n) return undefined;
  const addresses = new BigUint64Array(count);
  let downwards = false;
  for (let i = 0; i < count && !downwards; i++) downwards = view.getInt32(at + 4 * i, true) < 0;
  let last = 0n;
  for (let i = 0; i < count; i++) {
    const offset = view.getInt32(at + 4 * i, true);
    const address = !downwards
      ? base + BigInt(offset >>> 0)
      : offset >= 0
      ? BigInt(offset)
      : base - 1n - BigInt(offset);
    if (address < last || address >= 2n ** 64n) return undefined;
    addresses[i] = last = address;
  }
  return addresses;
}

function decodeNames(
  bytes: Uint8Array,
  start: number,
  count: number,
  tokens: readonly string[],
  addresses: BigUint64Array,
): Symbol[] {
  const symbols: Symbol[] = [];
  let at = start;
  for (let i = 0; i < count; i++) {
    const length = nameLength(bytes, at);
    at += bytes[at]! < 0x80 ? 1 : 2;
    const address = addresses[i]!;
    if (address >= KERNEL_HALF) {
      let text = "";
      for (let k = 0; k < length; k++) text += tokens[bytes[at + k]!];
      symbols.push({ name: text.slice(1), address, size: 0 }); // its first character is nm's type
    }
    at += length;
  }
  return symbols;
}
