/**
 * Opens what redirections name (POSIX.1-2017 XCU 2.7).
 *
 * @module
 */
import { resolve } from "node:path";
import { Errno } from "../../ffi/errno.ts";
import { HostError, UsageError } from "../../ffi/errors.ts";
import { openFile, openFileSlowly, OpenFlag } from "../../ffi/files.ts";
import { memoryFile } from "../../ffi/memory_file.ts";
import type { Expander } from "./expansion.ts";
import type { OpenFiles } from "./open_files.ts";
import type { Session } from "./session.ts";
import type { Streams } from "./streams.ts";
import type { Redirection } from "./tree.ts";
import { underUmask } from "./umask.ts";
import { WordFailure } from "./word_failure.ts";

/** What a new file may be read and written by, before the shell's umask. */
const MODE = 0o666;
const { RDONLY, WRONLY, RDWR, CREAT, TRUNC, APPEND, NOCTTY } = OpenFlag;
const FLAGS = {
  "<": RDONLY,
  ">": WRONLY | CREAT | TRUNC,
  ">|": WRONLY | CREAT | TRUNC,
  ">>": WRONLY | CREAT | APPEND,
  "<>": RDWR | CREAT,
} as const;

/** Files that are a process's own descriptors, and here the command's. */
const DESCRIPTOR_FILE = /^\/dev\/(?:(stdin|stdout|stderr)|fd\/([0-9]{1,4}))$/;
const STANDARD: readonly string[] = ["stdin", "stdout", "stderr"];

/**
 * Redirects.
 *
 * @param redirections What is to lead elsewhere, from left to right
 * @param session The shell
 * @param expander Expands the names of files
 * @param open Closes what has been opened
 * @param waiting Called before a wait for the other side of a FIFO
 * @returns What the command is given
 * @throws {WordFailure} If a file cannot be opened
 */
export async function redirected(
  redirections: readonly Redirection[],
  session: Session,
  expander: Expander,
  open: OpenFiles,
  waiting: () => void,
): Promise<Streams> {
  let changed = session.streams;
  for (const redirection of redirections) {
    const { descriptor, target } = redirection;
    try {
      const place = { streams: changed, session, expander, open, waiting };
      changed = changed.with(descriptor, await leading(redirection, place));
    } catch (error) {
      throw error instanceof WordFailure ? error : new WordFailure(error, target.span);
    }
  }
  return changed;
}

interface Place {
  readonly streams: Streams;
  readonly session: Session;
  readonly expander: Expander;
  readonly open: OpenFiles;
  waiting(): void;
}

/** The descriptor that one leads to; undefined if it closes. */
async function leading(
  { operator, target, document }: Redirection,
  { streams, session, expander, open, waiting }: Place,
): Promise<number | undefined> {
  if (document !== undefined) {
    const text = await expander.whole(document);
    return open.own(memoryFile("here-document", new TextEncoder().encode(text)));
  }
  const word = await expander.whole(target);
  if (operator === "<&" || operator === ">&") return copied(word, streams);
  if (word === "") throw new HostError("open", Errno.ENOENT, { path: '""' });
  const path = fileOf(word, session, streams);
  const flags = FLAGS[operator as keyof typeof FLAGS] | NOCTTY;
  if (!await isFifo(path)) {
    return open.own(underUmask(session.umask, () => openFile(path, flags, MODE)));
  }
  waiting();
  return open.own(await openFileSlowly(path, flags, MODE));
}

/** The path of a file; `/dev/stdin` and its kin are the command's and not this process's. */
function fileOf(word: string, session: Session, streams: Streams): string {
  const path = resolve(session.cwd, word);
  const [whole, standard, number] = DESCRIPTOR_FILE.exec(path) ?? [];
  if (whole === undefined) return path;
  const descriptor = streams.get(Number(number ?? STANDARD.indexOf(standard!)));
  if (descriptor === undefined) throw new HostError("open", Errno.ENOENT, { path });
  return `/proc/self/fd/${descriptor}`;
}

/** The descriptor behind a `>&`. */
function copied(word: string, streams: Streams): number | undefined {
  if (word === "-") return undefined;
  if (!/^[0-9]{1,4}$/.test(word)) {
    throw new UsageError(`"${word}" is no descriptor: a number, or - to close it`, {
      hint: "`> FILE 2>&1` writes both to a file",
    });
  }
  const descriptor = streams.get(Number(word));
  if (descriptor === undefined) throw new HostError("dup2", Errno.EBADF, { path: word });
  return descriptor;
}

async function isFifo(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFifo === true;
  } catch {
    return false;
  }
}
