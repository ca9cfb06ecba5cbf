/**
 * Runs the stages of a pipeline at once, each one's output into the next one's input.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import type { PersonTerminal, VerbContext } from "../verb.ts";
import { Channel, type Output, ReaderGone } from "./channel.ts";
import { type Program, runProgram } from "./program.ts";

/** A stage in this process: a verb or a built-in, its words already parsed. */
export interface InnerStage {
  readonly kind: "inner";
  run(context: VerbContext): Promise<number>;
}

/** A stage that is a program of the host. */
export interface ProgramStage {
  readonly kind: "program";
  readonly program: Program;
}

/** A stage with its redirections, if it has any. */
export type Stage = (InnerStage | ProgramStage) & {
  readonly stdin?: AsyncIterable<Uint8Array>;
  readonly stdout?: Output;
  /** Says on stderr what failed. */
  report(error: unknown): void;
};

/** What the stages share. */
export interface PipelineOptions {
  /** Where relative paths start. */
  readonly cwd: string;
  /** Aborts when the person interrupts the line. */
  readonly signal: AbortSignal;
  /** Where the last stage writes; a program there gets the shell's own stdout. */
  readonly output: Output;
  /** A person reads that at a terminal. */
  readonly forPerson: boolean;
  /** The terminal of the person who types the lines. */
  readonly terminal: PersonTerminal | undefined;
  /** What a program at the start reads. */
  readonly programInput: "inherit" | "null";
  /** Takes one line for the person. */
  note(text: string): void;
}

/** Exit status of a stage whose reader went: as if SIGPIPE had ended it. */
const SIGPIPE_STATUS = 141;
/** Exit status of a stage that the person interrupted: as if SIGINT had ended it. */
export const SIGINT_STATUS = 130;
/** Exit status when hvsh itself failed. */
const FAILED = 125;

/**
 * Runs a pipeline until all its stages have ended.
 *
 * @param stages At least one
 * @param options What they share
 * @returns The exit status of the last stage, as in sh
 */
export async function runPipeline(
  stages: readonly Stage[],
  options: PipelineOptions,
): Promise<number> {
  const channels = stages.slice(1).map(() => new Channel());
  const stop = () => channels.forEach((channel) => channel.cancel());
  options.signal.addEventListener("abort", stop);
  try {
    const statuses = stages.map((stage, i) =>
      runStage(stage, channels[i - 1], channels[i], options)
    );
    return (await Promise.all(statuses)).at(-1)!;
  } finally {
    options.signal.removeEventListener("abort", stop);
  }
}

async function runStage(
  stage: Stage,
  from: Channel | undefined,
  to: Channel | undefined,
  options: PipelineOptions,
): Promise<number> {
  if (stage.stdin !== undefined) from?.cancel();
  const input = stage.stdin === undefined ? from : fileChannel(stage.stdin, stage);
  if (stage.stdout !== undefined) await to?.close();
  const output = stage.stdout ?? to;
  try {
    if (stage.kind === "inner") return await runInner(stage, input, output, options);
    if (options.signal.aborted) return SIGINT_STATUS;
    const programInput = input ?? options.programInput;
    return await runProgram(stage.program, programInput, output ?? "inherit", options.signal);
  } catch (error) {
    return statusOf(error, stage, options.signal);
  } finally {
    input?.cancel();
    await output?.close();
  }
}

async function runInner(
  stage: InnerStage,
  input: Channel | undefined,
  to: Output | undefined,
  options: PipelineOptions,
): Promise<number> {
  const output = to ?? options.output;
  const signal = AbortSignal.any([options.signal, output.gone]);
  // A verb that waits for input would not look at its signal.
  const stop = () => input?.cancel();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const status = await stage.run({
      input: input?.objects(),
      bytes: input?.bytes(),
      emit: (value) => output.emit(value),
      print: (text) => output.print(text),
      write: (bytes) => output.write(bytes),
      note: options.note,
      forPerson: to === undefined && options.forPerson,
      terminal: to === undefined ? options.terminal : unseen(options.terminal),
      cwd: options.cwd,
      signal,
    });
    return options.signal.aborted ? SIGINT_STATUS : status;
  } catch (error) {
    // What a verb throws because its signal aborted is no failure of its own.
    output.gone.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** A person who types blindly, since the output goes elsewhere, types whole lines. */
function unseen(terminal: PersonTerminal | undefined): PersonTerminal | undefined {
  return terminal === undefined ? undefined : { read: (buffer) => terminal.read(buffer) };
}

function statusOf(error: unknown, stage: Stage, signal: AbortSignal): number {
  if (signal.aborted) return SIGINT_STATUS;
  if (error instanceof ReaderGone) return SIGPIPE_STATUS;
  stage.report(error);
  return error instanceof HvshError ? error.exitStatus : FAILED;
}

/** A channel that a file's bytes flow into. */
function fileChannel(chunks: AsyncIterable<Uint8Array>, stage: Stage): Channel {
  const channel = new Channel();
  (async () => {
    try {
      for await (const chunk of chunks) await channel.write(chunk);
    } catch (error) {
      if (!channel.gone.aborted) stage.report(error);
    } finally {
      await channel.close();
    }
  })();
  return channel;
}
