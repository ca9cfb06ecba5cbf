/**
 * What a stage reads that does not read from another verb: a descriptor, which programs may share.
 *
 * @module
 */
import { readSome } from "../../ffi/descriptor_io.ts";
import { seekBy } from "../../ffi/files.ts";
import { readObjects } from "../document_input.ts";

const CHUNK = 65536;
const LINE_CHUNK = 256;
const NEWLINE = 10;

/**
 * Reads to the end.
 *
 * @param descriptor Where
 * @param signal Ends it early
 * @returns Chunks
 * @throws {HostError} If it cannot be read
 */
export async function* bytesOf(
  descriptor: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const buffer = new Uint8Array(CHUNK);
  for (;;) {
    const count = await readSome(descriptor, buffer, signal);
    if (count === 0) return;
    yield buffer.slice(0, count);
  }
}

/**
 * Reads JSON objects to the end.
 *
 * @param descriptor Where
 * @param signal Ends it early
 * @returns Each object
 * @throws {DocumentError} If something else is there
 */
export async function* objectsOf(descriptor: number, signal: AbortSignal): AsyncGenerator<unknown> {
  yield* readObjects(bytesOf(descriptor, signal), "stdin");
}

/**
 * Reads all that there is as text.
 *
 * @param descriptor Where
 * @param signal Ends it early
 * @returns The text
 */
export async function textOf(descriptor: number, signal: AbortSignal): Promise<string> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let text = "";
  for await (const bytes of bytesOf(descriptor, signal)) {
    text += decoder.decode(bytes, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * Reads a line and not a byte more, since what is behind it is for the commands that follow.
 *
 * @param descriptor Where
 * @param signal Ends it early
 * @returns The line with its newline; without one at the end of the input
 */
export async function lineOf(descriptor: number, signal: AbortSignal): Promise<string> {
  // What can be wound back is read in pieces, a pipe byte by byte.
  const buffer = new Uint8Array(seekBy(descriptor, 0) ? LINE_CHUNK : 1);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let line = "";
  for (;;) {
    const count = await readSome(descriptor, buffer, signal);
    if (count === 0) return line + decoder.decode();
    const newline = buffer.subarray(0, count).indexOf(NEWLINE);
    const end = newline < 0 ? count : newline + 1;
    line += decoder.decode(buffer.subarray(0, end), { stream: true });
    if (newline < 0) continue;
    if (end < count) seekBy(descriptor, end - count);
    return line;
  }
}
