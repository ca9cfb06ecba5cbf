/**
 * LZ4 in its legacy frame, the form in which Linux packs kernels and initial RAM disks
 * (lz4_Frame_format.md, "Legacy frame"; lz4_Block_format.md).
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";

/** First word of a legacy frame. */
const LEGACY_MAGIC = 0x184c_2102;
/** Most that one block of a legacy frame unpacks to. */
const LEGACY_BLOCK = 8 << 20;
/** From this length on, one built-in copy beats a loop over bytes. */
const LONG_COPY = 48;

function fail(where: string, at: number, problem: string): never {
  throw new ImageError(`${where}: LZ4 ${problem} (byte 0x${at.toString(16)} of the payload)`, {
    hint: "the file is damaged or cut off",
  });
}

/**
 * Unpacks a legacy frame, or several one after another.
 *
 * @param input The frame, from its magic on, with nothing behind it
 * @param options `limit`: most bytes to give; `where`: what messages call the input; `size`: how
 *   many bytes come out, where that is known
 * @returns The unpacked bytes
 * @throws {ImageError} If the frame is damaged or gives more than `limit`
 */
export function decompressLz4(
  input: Uint8Array,
  options: { limit: number; where: string; size?: number },
): Uint8Array<ArrayBuffer> {
  const { limit, where } = options;
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const output = new Uint8Array(Math.min(limit, options.size ?? Infinity, frameBound(input, view)));
  let from = 0;
  let to = 0;
  while (from < input.length) {
    if (input.length - from < 4) fail(where, from, "block has no length");
    const length = view.getUint32(from, true);
    from += 4;
    if (length === LEGACY_MAGIC) continue;
    if (length === 0 || length > input.length - from) {
      fail(where, from - 4, `block of ${length} bytes is outside the payload`);
    }
    to = decodeBlock(input, from, from + length, output, to, where);
    from += length;
  }
  return to === output.length ? output : output.subarray(0, to);
}

/** The most that all blocks together can give: 255 for each byte, 8 MiB for each block. */
function frameBound(input: Uint8Array, view: DataView): number {
  let bound = 0;
  for (let at = 0; at + 4 <= input.length;) {
    const length = view.getUint32(at, true);
    at += 4;
    if (length === LEGACY_MAGIC) continue;
    bound += Math.min(LEGACY_BLOCK, length * 255);
    at += length;
  }
  return bound;
}

/** Decodes one block into `output` at `to`; gives where it ended. */
function decodeBlock(
  input: Uint8Array,
  from: number,
  end: number,
  output: Uint8Array,
  to: number,
  where: string,
): number {
  const start = to;
  const room = output.length;
  for (;;) {
    if (from >= end) fail(where, from, "block ends inside a sequence");
    const token = input[from++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255) {
        if (from >= end) fail(where, from, "block ends inside a length");
        more = input[from++]!;
        literals += more;
      }
    }
    if (literals > end - from) fail(where, from, "literals run past their block");
    if (literals > room - to) fail(where, from, `gives more than the ${room} bytes allowed`);
    if (literals < LONG_COPY) {
      for (const stop = from + literals; from < stop;) output[to++] = input[from++]!;
    } else {
      output.set(input.subarray(from, from + literals), to);
      from += literals;
      to += literals;
    }
    // The last sequence of a block has literals only.
    if (from === end) return to;
    if (end - from < 2) fail(where, from, "block ends inside an offset");
    const offset = input[from]! | (input[from + 1]! << 8);
    from += 2;
    if (offset === 0 || offset > to - start) {
      fail(where, from - 2, "offset points outside its block");
    }
    let match = (token & 15) + 4;
    if (match === 19) {
      let more = 255;
      while (more === 255) {
        if (from >= end) fail(where, from, "block ends inside a length");
        more = input[from++]!;
        match += more;
      }
    }
    if (match > room - to) fail(where, from, `gives more than the ${room} bytes allowed`);
    if (match >= LONG_COPY && offset >= match) {
      output.copyWithin(to, to - offset, to - offset + match);
      to += match;
    } else if (match >= LONG_COPY && offset === 1) {
      output.fill(output[to - 1]!, to, to + match);
      to += match;
    } else {
      // An overlapping match repeats what it has just written, so it goes byte by byte.
      for (const stop = to + match; to < stop; to++) output[to] = output[to - offset]!;
    }
  }
}
