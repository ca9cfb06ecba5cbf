/**
 * A bzip2 decoder. The packages that exist loop for ever on run lengths that overflow, or read
 * zeros past the end of their input; a guest image is not to be trusted with either.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";

/** First 48 bits of a block, the digits of pi, and of the end of the stream, those of its root. */
const BLOCK_MAGIC = [0x314159, 0x265359] as const;
const END_MAGIC = [0x177245, 0x385090] as const;
const MAX_CODE_LENGTH = 20;
/** Symbols for which one Huffman table serves before the next selector is read. */
const GROUP_SIZE = 50;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, i) => {
  let c = i << 24;
  for (let k = 0; k < 8; k++) c = c & 0x8000_0000 ? (c << 1) ^ 0x04c1_1db7 : c << 1;
  return c >>> 0;
});

/** Where the decoder stands in its input, and how it fails. */
class BitReader {
  readonly #input: Uint8Array;
  readonly #where: string;
  #at = 0;
  #held = 0;
  #bits = 0;

  constructor(input: Uint8Array, where: string) {
    this.#input = input;
    this.#where = where;
  }

  /** The next `count` bits, 1 to 24. */
  read(count: number): number {
    while (this.#bits < count) {
      if (this.#at >= this.#input.length) this.fail("stream ends too early");
      this.#held = ((this.#held << 8) | this.#input[this.#at++]!) >>> 0;
      this.#bits += 8;
    }
    this.#bits -= count;
    return (this.#held >>> this.#bits) & ((1 << count) - 1);
  }

  /** The next 32 bits, unsigned. */
  readWord(): number {
    return this.read(16) * 0x1_0000 + this.read(16);
  }

  fail(problem: string): never {
    throw new ImageError(
      `${this.#where}: bzip2 ${problem} (byte 0x${this.#at.toString(16)} of the payload)`,
      { hint: "the file is damaged or cut off" },
    );
  }
}

/** One canonical Huffman code: decoded by length, as the lengths are all that the stream gives. */
interface HuffmanTable {
  readonly minLength: number;
  readonly maxLength: number;
  /** Largest code of each length. */
  readonly limit: Int32Array;
  /** What to take from a code of each length to get its index in `symbols`. */
  readonly base: Int32Array;
  readonly symbols: Uint16Array;
}

/**
 * Unpacks one bzip2 stream.
 *
 * @param input The stream, from "BZh" on; what follows its end is not looked at
 * @param options `limit`: most bytes to give; `where`: what messages call the input; `size`: how
 *   many bytes come out, where that is known
 * @returns The unpacked bytes
 * @throws {ImageError} If the stream is damaged or gives more than `limit`
 */
export function decompressBzip2(
  input: Uint8Array,
  options: { limit: number; where: string; size?: number },
): Uint8Array<ArrayBuffer> {
  const reader: BitReader = new BitReader(input, options.where);
  if (reader.read(24) !== 0x425a68) reader.fail("magic is missing");
  const level = reader.read(8) - 0x30;
  if (level < 1 || level > 9) reader.fail("block size is not 1 to 9");
  const block = new Uint32Array(level * 100_000);
  let output = new Uint8Array(Math.min(options.limit, options.size ?? Infinity, input.length * 8));
  let length = 0;
  let streamCrc = 0;
  for (;;) {
    const high = reader.read(24);
    const low = reader.read(24);
    if (high === END_MAGIC[0] && low === END_MAGIC[1]) break;
    if (high !== BLOCK_MAGIC[0] || low !== BLOCK_MAGIC[1]) reader.fail("block magic is missing");
    const wanted = reader.readWord();
    if (reader.read(1) === 1) reader.fail("block is randomised, a form out of use since 0.9.5");
    const origin = reader.read(24);
    const count = decodeSymbols(reader, block);
    if (origin >= count) reader.fail("block starts outside itself");
    const done = undoRuns(block, origin, count, length, options.limit, (size) => {
      if (size > output.length) {
        const grown = new Uint8Array(Math.min(options.limit, Math.max(size, output.length * 2)));
        grown.set(output);
        output = grown;
      }
      return output;
    });
    if (done === undefined) reader.fail(`gives more than the ${options.limit} bytes allowed`);
    if (done.crc !== wanted) reader.fail("block's checksum is wrong");
    streamCrc = (((streamCrc << 1) | (streamCrc >>> 31)) ^ wanted) >>> 0;
    length = done.end;
  }
  if (reader.readWord() !== streamCrc) reader.fail("stream's checksum is wrong");
  return output.subarray(0, length);
}

function readTable(reader: BitReader, symbolCount: number): HuffmanTable {
  const lengths = new Uint8Array(symbolCount);
  let length = reader.read(5);
  for (let i = 0; i < symbolCount; i++) {
    for (;;) {
      if (length < 1 || length > MAX_CODE_LENGTH) reader.fail("code length is not 1 to 20");
      if (reader.read(1) === 0) break;
      length += reader.read(1) === 0 ? 1 : -1;
    }
    lengths[i] = length;
  }
  const minLength = Math.min(...lengths);
  const maxLength = Math.max(...lengths);
  const limit = new Int32Array(MAX_CODE_LENGTH + 1);
  const base = new Int32Array(MAX_CODE_LENGTH + 1);
  const symbols = new Uint16Array(symbolCount);
  let index = 0;
  let code = 0;
  for (let l = minLength; l <= maxLength; l++) {
    base[l] = code - index;
    for (let i = 0; i < symbolCount; i++) if (lengths[i] === l) symbols[index++] = i;
    code = base[l]! + index;
    limit[l] = code - 1;
    code <<= 1;
  }
  return { minLength, maxLength, limit, base, symbols };
}

/** Reads one block's tables and symbols; gives how many bytes it left in `block`. */
function decodeSymbols(reader: BitReader, block: Uint32Array): number {
  const used = reader.read(16);
  const alphabet: number[] = [];
  for (let i = 0; i < 16; i++) {
    if ((used & (0x8000 >> i)) === 0) continue;
    const row = reader.read(16);
    for (let j = 0; j < 16; j++) if (row & (0x8000 >> j)) alphabet.push(i * 16 + j);
  }
  if (alphabet.length === 0) reader.fail("block uses no byte values");
  const tableCount = reader.read(3);
  if (tableCount < 2 || tableCount > 6) reader.fail("block does not have 2 to 6 code tables");
  const selectors = new Uint8Array(reader.read(15));
  const order = [0, 1, 2, 3, 4, 5];
  for (let i = 0; i < selectors.length; i++) {
    let j = 0;
    while (reader.read(1) === 1) if (++j >= tableCount) reader.fail("selector is out of range");
    const [chosen] = order.splice(j, 1) as [number];
    order.unshift(chosen);
    selectors[i] = chosen;
  }
  if (selectors.length === 0) reader.fail("block has no selectors");
  const tables = Array.from({ length: tableCount }, () => readTable(reader, alphabet.length + 2));

  const endOfBlock = alphabet.length + 1;
  const recent = Uint8Array.from(alphabet);
  let count = 0;
  let run = 0;
  let runUnit = 1;
  let left = 0;
  let selector = 0;
  let table = tables[0]!;
  for (;;) {
    if (left === 0) {
      if (selector >= selectors.length) reader.fail("block has more symbols than selectors");
      table = tables[selectors[selector++]!]!;
      left = GROUP_SIZE;
    }
    left--;
    let length = table.minLength;
    let code = reader.read(length);
    while (code > table.limit[length]!) {
      if (++length > table.maxLength) reader.fail("code stands for nothing");
      code = (code << 1) | reader.read(1);
    }
    const symbol = table.symbols[code - table.base[length]!];
    if (symbol === undefined) reader.fail("code stands for nothing");
    if (symbol <= 1) {
      // RUNA and RUNB are the digits 1 and 2 of a number in base 2.
      run += runUnit << symbol;
      runUnit <<= 1;
      if (run > block.length - count) reader.fail("block is longer than its stream allows");
      continue;
    }
    if (run > 0) {
      block.fill(recent[0]!, count, count + run);
      count += run;
      run = 0;
      runUnit = 1;
    }
    if (symbol === endOfBlock) return count;
    if (count >= block.length) reader.fail("block is longer than its stream allows");
    const value = recent[symbol - 1]!;
    recent.copyWithin(1, 0, symbol - 1);
    recent[0] = value;
    block[count++] = value;
  }
}

/**
 * Undoes the Burrows-Wheeler transform and the run-length coding below it.
 *
 * @returns Where the output ends and the block's CRC, or `undefined` past the limit
 */
function undoRuns(
  block: Uint32Array,
  origin: number,
  count: number,
  start: number,
  limit: number,
  room: (size: number) => Uint8Array,
): { end: number; crc: number } | undefined {
  const next = new Uint32Array(256);
  for (let i = 0; i < count; i++) next[block[i]! & 0xff]!++;
  for (let value = 0, sum = 0; value < 256; value++) {
    const n = next[value]!;
    next[value] = sum;
    sum += n;
  }
  // The upper 24 bits of each entry become its successor: no block has more than 900,000 entries.
  for (let i = 0; i < count; i++) block[next[block[i]! & 0xff]!++]! |= i << 8;

  let output = room(Math.min(limit, start + count));
  let end = start;
  let crc = 0xffff_ffff;
  let repeats = 0;
  let previous = -1;
  let entry = block[origin]!;
  for (let i = 0; i < count; i++) {
    entry = block[entry >>> 8]!;
    let value = entry & 0xff;
    let copies = 1;
    if (repeats === 4) {
      // After four equal bytes comes a count of more of them.
      copies = value;
      value = previous;
      repeats = 0;
    } else {
      repeats = value === previous ? repeats + 1 : 1;
      previous = value;
    }
    if (copies > limit - end) return undefined;
    if (copies > output.length - end) output = room(end + copies);
    for (; copies > 0; copies--) {
      output[end++] = value;
      crc = (crc << 8) ^ CRC_TABLE[(crc >>> 24) ^ value]!;
    }
  }
  return { end, crc: ~crc >>> 0 };
}
