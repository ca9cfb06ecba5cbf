/**
 * Host programs: how one is found in PATH and run as a stage of a pipeline.
 *
 * @module
 */
import { resolve } from "node:path";
import { HvshError, type HvshErrorOptions } from "../../ffi/errors.ts";
import type { Channel, Output } from "./channel.ts";

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
  readonly words: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * Finds a program as sh does: by its path if there is a slash in its name, else in PATH.
 *
 * @param name Its name
 * @param searchPath The value of PATH
 * @param cwd Where relative paths start
 * @returns Its absolute path; undefined if there is none
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
    if (isProgram(info)) return path;
    throw new CommandError(`${name} is not executable`, 126, { hint: `chmod +x ${name}` });
  }
  for (const folder of searchPath.split(":")) {
    const path = resolve(cwd, folder, name);
    const info = await stat(path);
    if (info !== undefined && isProgram(info)) return path;
  }
  return undefined;
}

/** How long after its start a program may have missed a SIGINT that this process got. */
const STARTING_MS = 200;

/**
 * Runs a program until it ends.
 *
 * @param program The program
 * @param input What it reads; `inherit` for the shell's own stdin, `null` for nothing
 * @param output What it writes to; `inherit` for the shell's own stdout
 * @param signal Aborts when the person interrupts the line
 * @returns Its exit status, 128 + n for a signal
 * @throws {CommandError} If the host does not start it
 */
export async function runProgram(
  program: Program,
  input: Channel | "inherit" | "null",
  output: Output | "inherit",
  signal: AbortSignal,
): Promise<number> {
  const child = start(program, {
    stdin: typeof input === "string" ? input : "piped",
    stdout: output === "inherit" ? "inherit" : "piped",
  });
  const fed = typeof input === "string" ? undefined : feed(child.stdin, input);
  const drained = output === "inherit" ? undefined : drain(child.stdout, output);
  const started = performance.now();
  const interrupt = () => {
    // The terminal has sent SIGINT to the programs that were there; this one came after it, perhaps.
    if (performance.now() - started >= STARTING_MS) return;
    try {
      child.kill("SIGINT");
    } catch {
      // It did get it, and has ended.
    }
  };
  signal.addEventListener("abort", interrupt);
  const { code } = await child.status;
  signal.removeEventListener("abort", interrupt);
  // A stage that has ended ends the ones before it, even if it left bytes unread.
  if (typeof input !== "string") input.cancel();
  await fed;
  const failure = await drained;
  if (failure !== undefined) throw failure;
  return code;
}

function start(
  { path, words, cwd, environment }: Program,
  stdio: Pick<Deno.CommandOptions, "stdin" | "stdout">,
): Deno.ChildProcess {
  try {
    return new Deno.Command(path, {
      args: [...words],
      cwd,
      env: environment,
      clearEnv: true,
      stderr: "inherit",
      ...stdio,
    }).spawn();
  } catch (error) {
    throw new CommandError(`Cannot start ${path}: ${(error as Error).message}`, 126, {
      cause: error,
    });
  }
}

async function feed(stdin: WritableStream<Uint8Array>, input: Channel): Promise<void> {
  const writer = stdin.getWriter();
  try {
    for await (const chunk of input.bytes()) await writer.write(chunk);
    await writer.close();
  } catch {
    // EPIPE: it reads no more. Leaving the loop has told the stage before.
    await writer.abort().catch(() => {});
  }
}

/** Gives what kept the output from taking all, which is told when the program has ended. */
async function drain(stdout: ReadableStream<Uint8Array>, output: Output): Promise<unknown> {
  try {
    for await (const chunk of stdout) await output.write(chunk);
  } catch (error) {
    // Leaving the loop has closed the pipe, and SIGPIPE ends the program. A reader that is gone
    // is no failure.
    if (!output.gone.aborted) return error;
  }
  return undefined;
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
