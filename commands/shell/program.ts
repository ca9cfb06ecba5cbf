/**
 * Host programs: how one is found in PATH and run.
 *
 * @module
 */
import { resolve } from "node:path";
import { Errno } from "../../ffi/errno.ts";
import { HostError, HvshError, type HvshErrorOptions } from "../../ffi/errors.ts";
import {
  type ChildChange,
  sendSignal,
  spawn,
  type SpawnOptions,
  watchChild,
} from "../../ffi/spawn.ts";
import type { Job } from "./jobs.ts";
import type { Streams } from "./streams.ts";
import { underUmask } from "./umask.ts";

/** What runs a script that names no interpreter (POSIX.1-2017 XCU 2.9.1.1). */
const SH = "/bin/sh";
const SIGINT = 2;
/** Exit status of what a signal has ended: 128 and its number. */
const BY_SIGNAL = 128;
/** How long after its start a program may have missed a SIGINT that this process got. */
const STARTING_MS = 200;

/** A command that cannot be found or run; its statuses are sh's. */
export class CommandError extends HvshError {
  override readonly exitStatus: 126 | 127;

  /**
   * @param message What failed
   * @param exitStatus 127 if it is not there, 126 if it is no program
   * @param options A cause and the next step
   */
  constructor(message: string, exitStatus: 126 | 127, options: HvshErrorOptions = {}) {
    super(message, options);
    this.exitStatus = exitStatus;
  }
}

/** A program and how to start it. */
export interface Program {
  readonly path: string;
  /** Its words, the first of them its name. */
  readonly words: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /** What others may not do with the files that it makes. */
  readonly umask: number;
}

/** Where a program runs. */
export interface ProgramPlace {
  readonly streams: Streams;
  /** Aborts when the person interrupts the line. */
  readonly signal: AbortSignal;
  /** The job that it belongs to. */
  readonly job: Job | undefined;
  /** Whether the job's process is this one: it is the last of its pipeline. */
  readonly ofJob: boolean;
  /** Called when it has got its descriptors. */
  started(): void;
}

/**
 * Finds a program as sh does: by its path if there is a slash in its name, else in PATH.
 *
 * @param name Its name
 * @param searchPath The value of PATH
 * @param cwd Where relative paths start
 * @returns Its path; undefined if there is none
 * @throws {CommandError} If a path names what is no program
 */
export async function findProgram(
  name: string,
  searchPath: string,
  cwd: string,
): Promise<string | undefined> {
  if (name.includes("/")) {
    const path = resolve(cwd, name);
    const info = await stat(path);
    if (info === undefined) return undefined;
    if (info.isDirectory) {
      throw new CommandError(`${name} is a folder`, 126, { hint: `cd ${name}` });
    }
    if (isProgram(info)) return name; // from its folder, where it is started
    throw new CommandError(`${name} is not executable`, 126, { hint: `chmod +x ${name}` });
  }
  for (const folder of searchPath.split(":")) {
    const path = resolve(cwd, folder, name);
    const info = await stat(path);
    if (info !== undefined && isProgram(info)) return path;
  }
  return undefined;
}

/**
 * Runs a program until it ends.
 *
 * @param program The program
 * @param place Where
 * @returns Its exit status, 128 + n for a signal
 * @throws {CommandError} If the host does not start it
 */
export async function runProgram(program: Program, place: ProgramPlace): Promise<number> {
  const { job, signal, ofJob } = place;
  const pid = start(program, place);
  place.started();
  job?.programs.add(pid);
  if (ofJob) job?.begin(pid);
  const ended = Promise.withResolvers<ChildChange>();
  watchChild(pid, (change) => {
    if (change.kind !== "stopped") ended.resolve(change);
    else if (job !== undefined) job.stopped = true;
  });
  const started = performance.now();
  const interrupt = () => {
    // The terminal has sent SIGINT to the programs that were there; this one came after it, perhaps.
    if (job !== undefined || performance.now() - started >= STARTING_MS) return;
    try {
      sendSignal(pid, SIGINT);
    } catch (error) {
      if (!(error instanceof HostError)) throw error; // it has ended
    }
  };
  signal.addEventListener("abort", interrupt);
  const change = await ended.promise;
  signal.removeEventListener("abort", interrupt);
  job?.programs.delete(pid);
  return change.kind === "exited" ? change.status : BY_SIGNAL + change.signal;
}

function start(program: Program, { streams, job }: ProgramPlace): number {
  const { path, words, cwd, environment, umask } = program;
  const options = {
    path,
    argv: words,
    environment,
    cwd,
    descriptors: streams.descriptors,
    ...(job === undefined ? {} : { group: job.group ?? 0 }),
  };
  try {
    const pid = underUmask(umask, () => spawnGrouped(options));
    if (job !== undefined) job.group ??= pid;
    return pid;
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    if (error.errno === Errno.ENOEXEC) {
      const script = { ...options, path: SH, argv: ["sh", path, ...words.slice(1)] };
      return underUmask(umask, () => spawn(script));
    }
    throw new CommandError(`Cannot start ${error.message}`, 126, { cause: error });
  }
}

/** A job's group is gone with its last program, and then another one begins. */
function spawnGrouped(options: SpawnOptions): number {
  try {
    return spawn(options);
  } catch (error) {
    const gone = error instanceof HostError && error.errno === Errno.EPERM;
    if (!gone || (options.group ?? 0) === 0) throw error;
    return spawn({ ...options, group: 0 });
  }
}

async function stat(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch {
    return undefined;
  }
}

function isProgram(info: Deno.FileInfo): boolean {
  return info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
}
