/**
 * The lines typed before, kept in $XDG_STATE_HOME/hvsh/history, which several shells may share. A statement
 * of several lines is one of them: in the file each but its last ends in a backslash.
 *
 * @module
 */
import { dirname } from "node:path";

/** Lines that are kept. */
const LINES = 1000;
/** The file is cut down to {@linkcode LINES} when it holds more than this. */
const MOST_LINES = 2 * LINES;
/** A longer line is not worth keeping. */
const LINE_BYTES = 4096;
/** What is read of a file that has grown beyond all this. */
const READ_BYTES = 1 << 20;

/** The file that the history is kept in. */
export function historyPath(): string | undefined {
  const state = Deno.env.get("XDG_STATE_HOME");
  if (state?.startsWith("/")) return `${state}/hvsh/history`;
  const home = Deno.env.get("HOME");
  return home ? `${home}/.local/state/hvsh/history` : undefined;
}

/** The lines typed before. */
export class History {
  readonly #path: string | undefined;
  readonly #lines: string[];
  #complained = false;

  private constructor(path: string | undefined, lines: string[]) {
    this.#path = path;
    this.#lines = lines;
  }

  /**
   * Reads the history.
   *
   * @param path Its file; without one it lasts as long as the shell
   * @returns The history; an unreadable file is an empty one
   */
  static async open(path: string | undefined): Promise<History> {
    if (path === undefined) return new History(undefined, []);
    const lines = await readLines(path);
    if (lines.length > MOST_LINES) await cutDown(path).catch(() => {});
    return new History(path, lines.slice(-LINES));
  }

  /** The lines, the oldest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /**
   * Adds a line, unless it is empty, begins with a blank, or repeats the one before.
   *
   * @param line The line
   * @throws {Error} The first time that the file cannot be written
   */
  async add(line: string): Promise<void> {
    if (line.trim() === "" || /^\s/.test(line) || line === this.#lines.at(-1)) return;
    this.#lines.push(line);
    if (this.#lines.length > LINES) this.#lines.shift();
    if (this.#path === undefined || line.length > LINE_BYTES) return;
    try {
      await append(this.#path, line);
    } catch (error) {
      if (this.#complained) return;
      this.#complained = true;
      throw error;
    }
  }
}

/** A backslash at the very end would join it with the next one. */
function encoded(line: string): string {
  return line.replaceAll("\n", "\\\n").replace(/\\$/, "\\ ") + "\n";
}

function decoded(text: string): string[] {
  return text.split(/(?<!\\)\n/).filter((line) => line !== "")
    .map((line) => line.replaceAll("\\\n", "\n"));
}

async function readLines(path: string): Promise<string[]> {
  try {
    using file = await Deno.open(path);
    const { size } = await file.stat();
    if (size > READ_BYTES) await file.seek(size - READ_BYTES, Deno.SeekMode.Start);
    const text = await new Response(file.readable).text();
    const whole = size > READ_BYTES ? text.slice(text.indexOf("\n") + 1) : text;
    return decoded(whole);
  } catch {
    return [];
  }
}

/** One write to a file opened for appending lands whole behind what other shells wrote. */
async function append(path: string, line: string): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  using file = await openLocked(path);
  await file.write(new TextEncoder().encode(encoded(line)));
}

async function cutDown(path: string): Promise<void> {
  using _locked = await openLocked(path);
  const lines = await readLines(path);
  if (lines.length <= MOST_LINES) return;
  const beside = `${path}.${Deno.pid}`;
  await Deno.writeTextFile(beside, lines.slice(-LINES).map(encoded).join(""), { mode: 0o600 });
  await Deno.rename(beside, path);
}

/** Locks the file that the path names now: another shell may put a shorter one in its place. */
async function openLocked(path: string): Promise<Deno.FsFile> {
  for (;;) {
    const file = await Deno.open(path, { append: true, create: true, mode: 0o600 });
    await file.lock(true);
    const [mine, named] = [await file.stat(), await Deno.stat(path).catch(() => undefined)];
    if (named !== undefined && mine.ino === named.ino && mine.dev === named.dev) return file;
    file.close();
  }
}
