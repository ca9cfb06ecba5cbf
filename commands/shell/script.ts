/**
 * Runs a text in a shell from its start to its end: a script, or the line behind `-c`.
 *
 * @module
 */
import { complaint } from "./complaint.ts";
import { evaluate } from "./evaluate.ts";
import { Evaluator } from "./evaluator.ts";
import { parseStatement, type Statement } from "./parser.ts";
import type { Session } from "./session.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

/** Exit status of a line that cannot be understood. */
const USAGE_STATUS = 2;
const SIGHUP = 1;
const NEVER = new AbortController().signal;
/** How long a job may take to end that has been told to. */
const MOST_WAIT_MILLISECONDS = 5000;

/**
 * Runs a text, line by line, until it ends or is left.
 *
 * @param source The text
 * @param name The file that it is from; undefined for a line behind `-c`
 * @param session The shell
 * @param signal Aborts when the person interrupts
 */
export async function runText(
  source: string,
  name: string | undefined,
  session: Session,
  signal: AbortSignal,
): Promise<void> {
  const origin = { source, ...(name === undefined ? {} : { name, line: 1 }) };
  for (let at = 0; session.leaving === undefined;) {
    let statement: Statement | undefined;
    try {
      statement = parseStatement(source, at);
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      session.note(complaint(error, origin, error.span));
      session.status = USAGE_STATUS;
      if (!session.interactive) session.leaving = USAGE_STATUS;
      return;
    }
    if (statement === undefined) return;
    at = statement.end;
    await evaluate(statement.script, origin, session, signal);
  }
}

/**
 * Ends the jobs that this process runs itself, and waits until they have.
 *
 * @param session The shell
 */
export async function endJobs(session: Session): Promise<void> {
  for (const job of session.jobs.running) {
    if (job.pid === undefined) job.kill(SIGHUP, true);
  }
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, MOST_WAIT_MILLISECONDS);
  await Promise.race([Promise.all(session.unfinished), late.promise]);
  clearTimeout(timer);
}

/**
 * Ends a shell: runs what it is to do at its end, and waits for the jobs that this process runs
 * itself.
 *
 * @param session The shell
 * @param signal Aborts when the person interrupts
 * @returns Its exit status
 */
export async function finish(session: Session, signal: AbortSignal): Promise<number> {
  // What is to be done at the end is done after an interruption as well.
  const evaluator = new Evaluator({ source: "" }, session, signal.aborted ? NEVER : signal);
  const before = session.leaving ?? session.status;
  session.leaving = undefined;
  const status = await evaluator.contained(() => Promise.resolve(before));
  if (signal.aborted) return status;
  const stopped = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => stopped.resolve());
  await Promise.race([Promise.all(session.unfinished), stopped.promise]);
  if (signal.aborted) await endJobs(session);
  return status;
}
