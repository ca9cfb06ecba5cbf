/**
 * The lines that a person's shell runs before the first one is typed.
 *
 * @module
 */
import { complaint } from "./complaint.ts";
import { hostFailure } from "./host_failure.ts";
import { runText } from "./script.ts";
import type { Session } from "./session.ts";

/**
 * Runs `hvsh/rc` in XDG_CONFIG_HOME, if it is there.
 *
 * @param session The shell
 * @param signal Aborts when the person interrupts
 */
export async function runRcFile(session: Session, signal: AbortSignal): Promise<void> {
  const { variables } = session;
  const home = variables.get("HOME");
  const folder = variables.get("XDG_CONFIG_HOME") || (home && `${home}/.config`);
  if (!folder) return;
  const path = `${folder}/hvsh/rc`;
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    session.note(complaint(hostFailure(error, "open", path), { source: "" }));
    return;
  }
  await runText(text, path, session, signal);
  session.status = 0;
}
