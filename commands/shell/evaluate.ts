/**
 * Runs what was parsed from a line, and takes what it has done to the shell.
 *
 * @module
 */
import type { Origin } from "./complaint.ts";
import { Interrupted, Leave, LoopExit, Return } from "./control_flow.ts";
import { Evaluator } from "./evaluator.ts";
import type { Session } from "./session.ts";
import type { Script } from "./tree.ts";

/** Exit status of what the person interrupted: as if SIGINT had ended it. */
export const SIGINT_STATUS = 130;

/**
 * Runs a script's lists one after the other. Where nobody types the lines, the first that fails
 * makes the shell leave with its status; as with sh's `set -e`, what fails before `&&` or `||` or
 * as a condition is an answer, not a failure.
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
  try {
    await evaluator.script(script, false);
  } catch (thrown) {
    if (thrown instanceof Leave) {
      session.leaving = session.status = thrown.status;
      if (thrown.killed) session.traps.clear();
    } else if (thrown instanceof Interrupted) {
      session.status = SIGINT_STATUS;
      if (!session.interactive) session.leaving = SIGINT_STATUS;
    } else if (thrown instanceof Return) session.status = thrown.status;
    else if (!(thrown instanceof LoopExit)) throw thrown;
  }
  return session.status;
}
