/**
 * Headers of a tar archive: POSIX.1-1988 ustar, plain files only. The CRC-32 of a file's content stands
 * in its owner's name, which plain `tar` shows and, finding no such user, leaves alone.
 *
 *     0 name[100]  100 mode[8]  108 uid[8]  116 gid[8]  124 size[12]  136 mtime[12]  148 chksum[8]
 *     156 typeflag  157 linkname[100]  257 "ustar\0" "00"  265 uname[32]  297 gname[32]  … 512
 *
 * @module
 */

/** Archives consist of blocks; a file's last one is filled up with zeros. */
export const BLOCK = 512;

/** What a header says. */
export interface TarHeader {
  /** The file's path, at most 100 ASCII characters. */
  readonly name: string;
  /** Bytes of content. */
  readonly size: number;
  /** CRC-32 of the content; undefined where another program wrote the archive. */
  readonly crc: number | undefined;
  /** Whether it is a plain file; a folder, or what else tar has, carries nothing. */
  readonly file: boolean;
  /** Whether its content only says more about the file behind it: a record of pax (POSIX.1-2001). */
  readonly pax?: boolean;
}

const At = {
  name: 0,
  mode: 100,
  uid: 108,
  gid: 116,
  size: 124,
  mtime: 136,
  chksum: 148,
  typeflag: 156,
  magic: 257,
  uname: 265,
} as const;
const NAME_BYTES = 100;
/** What eleven octal digits can't say. */
const MOST_SIZE = 2 ** 33;
const CRC_PREFIX = "crc32-";
const CRC = /^crc32-([0-9a-f]{8})$/;
/** "0", and what makes 10 an "a". */
const ZERO = 0x30;
const LETTERS = 0x61 - 10;
/** Typeflags of plain files: '0', and NUL of the time before ustar. */
const PLAIN: ReadonlySet<number> = new Set([0x30, 0]);
/** 'x' and 'g': times and owners in other units, names that are too long. */
const PAX: ReadonlySet<number> = new Set([0x78, 0x67]);

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** What a header was not; the reader says where. */
export class TarError extends Error {
  override name = "TarError";
}

/**
 * Bytes that fill a file's last block up.
 *
 * @param size Bytes of its content
 */
export function padding(size: number): number {
  return (BLOCK - size % BLOCK) % BLOCK;
}

/** Writes headers that differ in name, size and CRC only. */
export class TarHeaderWriter {
  readonly #blank = new Uint8Array(BLOCK);
  readonly #blankSum: number;

  /** @param seconds The time that files show, since 1970 */
  constructor(seconds: number) {
    const block = this.#blank;
    writeText(block, At.mode, "0000600\0");
    writeText(block, At.uid, "0000000\0");
    writeText(block, At.gid, "0000000\0");
    writeText(block, At.mtime, `${seconds.toString(8).padStart(11, "0")}\0`);
    writeText(block, At.typeflag, "0");
    writeText(block, At.magic, "ustar\x0000");
    this.#blankSum = sumOf(block);
  }

  /**
   * Writes one.
   *
   * @param target 512 bytes
   * @param name The file's path, at most 100 ASCII characters
   * @param size Bytes of content, below 8 GiB
   * @param crc Its CRC-32
   */
  write(target: Uint8Array, name: string, size: number, crc: number): void {
    if (name.length > NAME_BYTES) throw new RangeError(`${name} is too long for tar`);
    if (size >= MOST_SIZE) throw new RangeError(`${name} is too large for tar`);
    target.set(this.#blank);
    const sum = this.#blankSum + putText(target, At.name, name) +
      putDigits(target, At.size, size, 8, 11) +
      putText(target, At.uname, CRC_PREFIX) +
      putDigits(target, At.uname + CRC_PREFIX.length, crc, 16, 8);
    putText(target, At.chksum, checksumText(sum));
  }
}

/**
 * Reads a header.
 *
 * @param block 512 bytes
 * @returns What it says; undefined for the block of zeros that ends an archive
 * @throws {TarError} If it is none, or a byte of it has changed
 */
export function parseTarHeader(block: Uint8Array): TarHeader | undefined {
  if (block.every((byte) => byte === 0)) return undefined;
  const sum = octal(block, At.chksum, 8);
  if (sum === undefined || sum !== sumOf(block)) {
    throw new TarError("is no header of a tar archive: its sum is wrong");
  }
  if (text(block, At.magic, 5) !== "ustar") throw new TarError("is no header of a ustar archive");
  const size = octal(block, At.size, 12);
  if (size === undefined) throw new TarError("has a header with no size");
  const crc = CRC.exec(text(block, At.uname, 32))?.[1];
  // The one field that the sum leaves out; other programs have other ways to write it.
  if (crc !== undefined && text(block, At.chksum, 8, false) !== checksumText(sum)) {
    throw new TarError("has a header whose sum has changed");
  }
  return {
    name: text(block, At.name, NAME_BYTES).replace(/^(\.\/)+/, ""),
    size,
    crc: crc === undefined ? undefined : parseInt(crc, 16),
    file: PLAIN.has(block[At.typeflag]!),
    ...(PAX.has(block[At.typeflag]!) ? { pax: true } : {}),
  };
}

/** The sum of all bytes, those of the sum itself taken for spaces. */
function sumOf(block: Uint8Array): number {
  let sum = 8 * 0x20;
  for (let i = 0; i < At.chksum; i++) sum += block[i]!;
  for (let i = At.typeflag; i < BLOCK; i++) sum += block[i]!;
  return sum;
}

/** A number in octal digits, ended by a NUL, a space or both. */
function octal(block: Uint8Array, at: number, length: number): number | undefined {
  const digits = /^ *([0-7]+)[\0 ]*$/.exec(decoder.decode(block.subarray(at, at + length)))?.[1];
  return digits === undefined ? undefined : parseInt(digits, 8);
}

function checksumText(sum: number): string {
  return `${sum.toString(8).padStart(6, "0")}\0 `;
}

function text(block: Uint8Array, at: number, length: number, toNul = true): string {
  const field = decoder.decode(block.subarray(at, at + length));
  const end = toNul ? field.indexOf("\0") : -1;
  return end < 0 ? field : field.slice(0, end);
}

function writeText(block: Uint8Array, at: number, value: string): void {
  encoder.encodeInto(value, block.subarray(at));
}

/** Writes ASCII and gives the sum of its bytes; the blank block has zeros there. */
function putText(target: Uint8Array, at: number, value: string): number {
  let sum = 0;
  for (let i = 0; i < value.length; i++) sum += target[at + i] = value.charCodeAt(i);
  return sum;
}

/** The same for the digits of a number. */
function putDigits(
  target: Uint8Array,
  at: number,
  value: number,
  base: 8 | 16,
  count: number,
): number {
  let sum = 0;
  for (let i = count - 1; i >= 0; i--) {
    const digit = value % base;
    value = (value - digit) / base;
    sum += target[at + i] = digit + (digit < 10 ? ZERO : LETTERS);
  }
  return sum;
}
