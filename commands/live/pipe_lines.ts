/**
 * Lines of JSON on a pipe, a few bytes each, without blocking the thread and without a thread of Deno's
 * pool that would wait for as long as the other side does.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { delay } from "./delay.ts";

/** A longer line is none of ours. */
export const MOST_LINE = 4096;
/** How often to look, at first and later. */
const SOON_MILLISECONDS = 1;
const LATER_MILLISECONDS = 20;
const SOON_LOOKS = 1000;

/** What is said in a line. */
export type PipeWord = Readonly<Record<string, unknown>>;

/** Reads lines from a descriptor. */
export class PipeLines {
  readonly #fd: number;
  readonly #chunk = new Uint8Array(MOST_LINE);
  #text = "";
  #said = "";
  #ended = false;

  /** @param fd The descriptor, in non-blocking mode; it stays its owner's */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Waits for a line.
   *
   * @param signal Ends the wait
   * @returns What it says; undefined if the signal came, or the other side has {@linkcode ended}
   */
  async next(signal: AbortSignal): Promise<PipeWord | undefined> {
    for (let looks = 0;; looks++) {
      const end = this.#text.indexOf("\n");
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 1);
        this.#said = line;
        const word = parseLine(line);
        this.#ended = word === undefined;
        return word;
      }
      this.#ended ||= this.#text.length >= MOST_LINE || !/^({|$)/.test(this.#text);
      if (this.#ended) return undefined;
      const count = Number(libc.read(this.#fd, this.#chunk, BigInt(this.#chunk.length)));
      if (count > 0) {
        this.#text += new TextDecoder().decode(this.#chunk.subarray(0, count));
        continue;
      }
      this.#ended = count === 0;
      if (this.#ended) return undefined;
      const code = errno();
      if (code === Errno.EINTR) continue;
      if (code !== Errno.EAGAIN) throw new HostError("read", code, { path: "pipe" });
      const pause = looks < SOON_LOOKS ? SOON_MILLISECONDS : LATER_MILLISECONDS;
      if (!await delay(pause, signal)) return undefined;
    }
  }

  /** Whether nothing more is to be expected: it is closed, or what came was none of our lines. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What was said last, whole or not. */
  get said(): string {
    return this.#text === "" ? this.#said : this.#text;
  }
}

/**
 * Says a line, which a pipe takes whole or not at all.
 *
 * @param fd The pipe
 * @param word What to say
 * @returns Whether the pipe took it
 */
export function sayLine(fd: number, word: PipeWord): boolean {
  const bytes = new TextEncoder().encode(JSON.stringify(word) + "\n");
  for (;;) {
    if (libc.write(fd, bytes, BigInt(bytes.length)) === BigInt(bytes.length)) return true;
    if (errno() !== Errno.EINTR) return false;
  }
}

/**
 * What a line says.
 *
 * @param line The line
 * @returns Undefined if it is no object of JSON
 */
export function parseLine(line: string): PipeWord | undefined {
  try {
    const word = JSON.parse(line);
    return typeof word === "object" && word !== null && !Array.isArray(word) ? word : undefined;
  } catch {
    return undefined;
  }
}
