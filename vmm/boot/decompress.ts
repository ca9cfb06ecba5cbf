/**
 * Unpacking of compressed kernels and RAM disks on the host. Each decoder is loaded when its format
 * turns up, so that a kernel packed with LZ4 does not wait for WebAssembly.
 *
 * @module
 */
import { ImageError } from "../../ffi/errors.ts";
import { hasBytes } from "./image.ts";

/** A format that Linux's build packs kernels with. */
export type Compression = "gzip" | "bzip2" | "lzma" | "xz" | "lzo" | "lz4" | "zstd";

/** Linux's own table of magic numbers (lib/decompress.c). */
const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lzma", [0x5d, 0x00, 0x00]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["lzo", [0x89, 0x4c, 0x5a, 0x4f]],
  ["lz4", [0x02, 0x21, 0x4c, 0x18]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/**
 * Tells how bytes are compressed.
 *
 * @param bytes The compressed bytes
 * @returns The format, or `undefined` if it is none of Linux's
 */
export function detectCompression(bytes: Uint8Array): Compression | undefined {
  return MAGIC.find(([, magic]) => hasBytes(bytes, 0, magic))?.[0];
}

/** What bounds and names a decompression. */
export interface DecompressOptions {
  /** Most bytes that may come out. */
  readonly limit: number;
  /** What messages call the input, `vmlinuz: payload`. */
  readonly where: string;
  /** How many bytes must come out, where that is known. */
  readonly size?: number;
}

/**
 * Unpacks bytes in any of Linux's formats but LZO.
 *
 * @param bytes The compressed bytes, with nothing behind them
 * @param options The limit, the name for messages, and the size to expect
 * @returns The unpacked bytes
 * @throws {ImageError} If they are damaged, of no known format, of another size than expected, or
 *   expand to more than the limit
 */
export async function decompress(
  bytes: Uint8Array,
  options: DecompressOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { limit, where, size } = options;
  if (size !== undefined && size > limit) {
    throw new ImageError(`${where} says that it expands to ${size} bytes, more than ${limit}`);
  }
  const output = await decode(bytes, { ...options, limit: size ?? limit });
  if (size !== undefined && output.length !== size) {
    throw new ImageError(`${where} expands to ${output.length} bytes, not to ${size} as it says`, {
      hint: "the file is damaged or cut off",
    });
  }
  return output;
}

async function decode(
  bytes: Uint8Array,
  options: DecompressOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const compression = detectCompression(bytes);
  switch (compression) {
    case "gzip":
    case "zstd":
      return await decodeByZlib(compression, bytes, options);
    case "lz4":
      return (await import("./lz4.ts")).decompressLz4(bytes, options);
    case "xz":
    case "lzma":
      return await (await import("./lzma.ts")).decompressLzma(bytes, options);
    case "bzip2":
      return (await import("./bzip2.ts")).decompressBzip2(bytes, options);
    case "lzo":
      throw new ImageError(`${options.where} is packed with LZO, which only a kernel can unpack`);
    case undefined:
      throw new ImageError(`${options.where} is in no known compressed format`, {
        hint: "known are gzip, zstd, xz, lzma, bzip2 and legacy LZ4",
      });
  }
}

async function decodeByZlib(
  compression: "gzip" | "zstd",
  bytes: Uint8Array,
  { limit, where }: DecompressOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { gunzipSync, zstdDecompressSync } = await import("node:zlib");
  const unpack = compression === "gzip" ? gunzipSync : zstdDecompressSync;
  if (compression === "zstd") {
    const { requireWholeFrames } = await import("./zstd.ts");
    requireWholeFrames(bytes, where);
  }
  try {
    const { buffer, byteOffset, length } = unpack(bytes, { maxOutputLength: limit });
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, length);
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new ImageError(`${where}: ${compression} gives more than the ${limit} bytes allowed`);
    }
    throw new ImageError(`${where}: ${compression} stream is damaged: ${message}`, {
      hint: "the file is damaged or cut off",
      cause,
    });
  }
}
