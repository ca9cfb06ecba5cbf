/**
 * Runs what was written elsewhere than the line that runs it: functions, files, texts.
 *
 * @module
 */
import { complaint } from "./complaint.ts";
import { Leave, Return } from "./control_flow.ts";
import type { Evaluator } from "./evaluator.ts";
import { parseStatement } from "./parser.ts";
import type { Stage } from "./stages.ts";
import { ShellSyntaxError } from "./syntax_error.ts";

const USAGE_STATUS = 2;
/** Far more than a script's functions and texts call each other, and far less than memory takes. */
const MOST_CALLS = 1000;

/**
 * Calls a function.
 *
 * @param stage The function and its words
 * @param evaluator What runs the command that calls it
 * @param tested Whether somebody asks for the status
 * @returns Its exit status
 */
export async function callFunction(
  { function: { body, origin }, words }: Stage & { kind: "function" },
  evaluator: Evaluator,
  tested: boolean,
): Promise<number> {
  const { session } = evaluator;
  if (session.functionDepth >= MOST_CALLS) {
    session.note(`hvsh: Functions call each other more than ${MOST_CALLS} deep`);
    throw new Leave(USAGE_STATUS);
  }
  const before = { words: session.words, loops: session.loops };
  session.functionDepth++;
  Object.assign(session, { words, loops: 0 });
  try {
    await null; // unwinds the stack
    return await evaluator.with({ origin }).command(body, tested);
  } catch (thrown) {
    if (thrown instanceof Return) return thrown.status;
    throw thrown;
  } finally {
    session.functionDepth--;
    Object.assign(session, before);
  }
}

/**
 * Runs a text in the shell, line by line.
 *
 * @param source The text
 * @param name The file that it is from
 * @param caller What runs the command that runs it
 * @param tested Whether somebody asks for the status
 * @returns The exit status of the last command
 */
export async function runLines(
  source: string,
  name: string | undefined,
  caller: Evaluator,
  tested: boolean,
): Promise<number> {
  const { session } = caller;
  const origin = { source, ...(name === undefined ? {} : { name, line: 1 }) };
  const evaluator = caller.with({ origin });
  if (session.texts >= MOST_CALLS) {
    session.note(`hvsh: Texts run each other more than ${MOST_CALLS} deep`);
    throw new Leave(USAGE_STATUS);
  }
  session.texts++;
  try {
    await null; // unwinds the stack
    for (let at = 0;;) {
      const statement = parseStatement(source, at);
      if (statement === undefined) return at === 0 ? 0 : session.status;
      at = statement.end;
      await evaluator.script(statement.script, tested);
    }
  } catch (error) {
    if (!(error instanceof ShellSyntaxError)) throw error;
    session.note(complaint(error, origin, error.span));
    session.status = USAGE_STATUS;
    if (!session.interactive) throw new Leave(USAGE_STATUS);
    return USAGE_STATUS;
  } finally {
    session.texts--;
  }
}
