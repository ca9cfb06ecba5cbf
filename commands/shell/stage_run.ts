/**
 * Runs one stage: a verb, a built-in or a program.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import type { BuiltinPlace } from "./builtin.ts";
import { type Channel, ReaderGone } from "./channel.ts";
import { complaint } from "./complaint.ts";
import { Leave, LoopExit, Return } from "./control_flow.ts";
import type { Evaluator } from "./evaluator.ts";
import { runProgram } from "./program.ts";
import type { Stage } from "./stages.ts";
import type { Streams } from "./streams.ts";
import { StageContext } from "./verb_context.ts";

/** Exit status of a stage whose reader went: as if SIGPIPE had ended it. */
const SIGPIPE_STATUS = 141;
/** Exit status of a stage that the person interrupted: as if SIGINT had ended it. */
const SIGINT_STATUS = 130;
/** Exit status when hvsh itself failed. */
const FAILED = 125;

/** What a stage has around it. */
export interface StageRun {
  readonly streams: Streams;
  /** A verb before it, which hands it objects. */
  readonly from?: Channel | undefined;
  /** A verb behind it. */
  readonly to?: Channel | undefined;
  /** Whether the pipeline's status is another's. */
  readonly inner?: boolean;
  /** Called when a program has got its descriptors. */
  readonly started?: () => void;
}

/**
 * Runs a stage until it ends, and says what went wrong.
 *
 * @param stage The stage
 * @param run What it has around it
 * @param evaluator What runs the lists around it
 * @param shell What built-ins do with the shell
 * @returns Its exit status
 */
export async function runStage(
  stage: Exclude<Stage, { kind: "function" }>,
  run: StageRun,
  evaluator: Evaluator,
  shell?: Omit<BuiltinPlace, "session" | "context" | "streams" | "origin">,
): Promise<number> {
  const { session, signal, job, origin } = evaluator;
  const { streams, from } = run;
  let context: StageContext | undefined;
  // A verb that waits for input would not look at its signal.
  const stop = () => from?.cancel();
  try {
    if (signal.aborted) return SIGINT_STATUS;
    if (stage.kind === "program") {
      const started = () => run.started?.();
      const ofJob = run.inner !== true;
      return await runProgram(stage.program, { streams, signal, job, started, ofJob });
    }
    if (run.inner !== true) job?.begin();
    context = new StageContext({ session, streams, from, to: run.to, signal });
    context.signal.addEventListener("abort", stop, { once: true });
    const status = stage.kind === "verb"
      ? await stage.run(context)
      : await stage.builtin.run(stage.words, { session, context, streams, origin, ...shell! });
    return signal.aborted ? SIGINT_STATUS : status;
  } catch (error) {
    if (error instanceof Leave || error instanceof Return || error instanceof LoopExit) throw error;
    if (signal.aborted) return SIGINT_STATUS;
    // What a verb throws because its reader is gone is no failure of its own.
    if (error instanceof ReaderGone || context?.output.gone.aborted) {
      // What a built-in writes the shell itself writes, which a person keeps all the same.
      const kept = session.interactive && !session.inner;
      if (stage.kind === "builtin" && !kept) throw new Leave(SIGPIPE_STATUS, true);
      return SIGPIPE_STATUS;
    }
    const at = { ...origin, at: evaluator.at };
    session.note(complaint(error, at, undefined, stage.name), streams);
    return error instanceof HvshError ? error.exitStatus : FAILED;
  } finally {
    context?.signal.removeEventListener("abort", stop);
  }
}
