/**
 * Runs a tree.
 *
 * @module
 */
import { match } from "ts-pattern";
import { HvshError } from "../../ffi/errors.ts";
import { complaint, type Origin } from "./complaint.ts";
import type { Command, List, Pipeline, Script } from "./parser.ts";
import { runPipeline, SIGINT_STATUS, type Stage } from "./pipeline.ts";
import type { Session } from "./session.ts";
import { openFiles, prepare, WordFailure } from "./stages.ts";

/** Exit status when hvsh itself failed. */
const FAILED = 125;

/**
 * Runs a script's lists one after the other. Where nobody types the lines, the first that fails
 * makes the shell leave with its status; as with sh's `set -e`, what fails before `&&` or `||` is
 * an answer, not a failure.
 *
 * @param script The tree
 * @param origin The text it was parsed from
 * @param session The shell
 * @param signal Aborts when the person interrupts
 * @returns The exit status of the last list that ran
 */
export async function evaluate(
  script: Script,
  origin: Origin,
  session: Session,
  signal: AbortSignal,
): Promise<number> {
  const evaluator = new Evaluator(origin, session, signal);
  for (const list of script.lists) {
    const failed = await evaluator.list(list);
    if (signal.aborted) session.status = SIGINT_STATUS;
    if (session.output.gone.aborted) session.leaving ??= session.status;
    if (failed && !session.interactive) session.leaving ??= session.status;
    if (session.leaving !== undefined || signal.aborted) break;
  }
  return session.status;
}

class Evaluator {
  readonly #origin: Origin;
  readonly #session: Session;
  readonly #signal: AbortSignal;

  constructor(origin: Origin, session: Session, signal: AbortSignal) {
    this.#origin = origin;
    this.#session = session;
    this.#signal = signal;
  }

  /** Whether the list failed: its last pipeline did. */
  async list({ first, rest }: List): Promise<boolean> {
    const session = this.#session;
    session.status = await this.#pipeline(first);
    let last = rest.length === 0;
    for (const [i, { operator, pipeline }] of rest.entries()) {
      if (session.leaving !== undefined || this.#signal.aborted) break;
      if ((operator === "&&") !== (session.status === 0)) continue;
      session.status = await this.#pipeline(pipeline);
      last = i === rest.length - 1;
    }
    return session.status !== 0 && last;
  }

  async #pipeline(pipeline: Pipeline): Promise<number> {
    const session = this.#session;
    try {
      const prepared: Stage[] = [];
      for (const command of pipeline.commands) prepared.push(await this.#command(command));
      return await runPipeline(await this.#withFiles(pipeline, prepared), {
        cwd: session.cwd,
        signal: this.#signal,
        output: session.output,
        forPerson: session.interactive,
        terminal: session.terminal,
        programInput: session.interactive ? "inherit" : "null",
        note: session.note,
      });
    } catch (error) {
      if (!(error instanceof WordFailure)) throw error;
      session.note(complaint(error.cause, this.#origin, error.span, error.verb));
      return error.cause instanceof HvshError ? error.cause.exitStatus : FAILED;
    }
  }

  #command(command: Command): Promise<Stage> {
    return match(command)
      .with({ kind: "simple" }, (simple) => prepare(simple, this.#session, this.#origin))
      .exhaustive();
  }

  /** Opens files last, so that a mistake in another stage leaves `> FILE` as it was. */
  async #withFiles(pipeline: Pipeline, stages: readonly Stage[]): Promise<Stage[]> {
    const open: Stage[] = [];
    try {
      for (const [i, { redirections }] of pipeline.commands.entries()) {
        open.push({ ...stages[i]!, ...await openFiles(redirections, this.#session) });
      }
    } catch (error) {
      for (const stage of open) await closeFiles(stage);
      throw error;
    }
    return open;
  }
}

async function closeFiles({ stdin, stdout }: Stage): Promise<void> {
  await stdin?.[Symbol.asyncIterator]().return?.();
  await stdout?.close();
}
