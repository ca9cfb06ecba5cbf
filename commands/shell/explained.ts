/**
 * Says what went wrong before a command ran.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { complaint } from "./complaint.ts";
import { Leave } from "./control_flow.ts";
import type { Evaluator } from "./evaluator.ts";
import type { Streams } from "./streams.ts";
import { Refusal, WordFailure } from "./word_failure.ts";

/** Exit status when hvsh itself failed. */
const FAILED = 125;

/**
 * Runs something, and says what keeps it from running.
 *
 * @param evaluator What runs the lists around it
 * @param run Runs it
 * @returns Its exit status
 */
export async function explained(
  evaluator: Evaluator,
  run: () => Promise<number>,
): Promise<number> {
  const { session, origin, at, job } = evaluator;
  try {
    return await run();
  } catch (error) {
    if (error instanceof Refusal) return error.status;
    if (error instanceof WordFailure) {
      const status = complain(error, evaluator, session.streams);
      if (error.fatal && !session.interactive) throw new Leave(status);
      return status;
    }
    // What the host has no room for, descriptors say, ends the command and not the shell.
    if (!(error instanceof HvshError)) throw error;
    job?.begin();
    session.note(complaint(error, { ...origin, at }));
    return error.exitStatus;
  }
}

/**
 * Says what is wrong with a word.
 *
 * @param failure What is wrong
 * @param evaluator What runs the lists around it
 * @param streams Where the command writes that it is about
 * @returns Its exit status
 */
export function complain(
  { cause, span, verb }: WordFailure,
  { session, origin, job }: Evaluator,
  streams: Streams,
): number {
  job?.begin();
  session.note(complaint(cause, origin, span, verb), streams);
  return cause instanceof HvshError ? cause.exitStatus : FAILED;
}
