/**
 * The lines that a person types: an editor on a terminal that can show one, else plain ones.
 *
 * @module
 */
import { movesCursor } from "../terminal_look.ts";
import type { History } from "./history.ts";
import type { LineSource } from "./line_source.ts";
import { parse } from "./parser.ts";
import { GREETING, prompt } from "./prompt.ts";
import type { Session } from "./session.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import { Screen, type TerminalInput } from "./terminal.ts";

/** Signals that end a shell; the terminal has to be put back first. */
const ENDING = { SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Greets the person.
 *
 * @param session The shell
 * @param history The lines typed before
 * @param terminal Where lines are typed
 * @returns The lines
 */
export async function typedLines(
  session: Session,
  history: History,
  terminal: TerminalInput,
): Promise<LineSource> {
  const screen = new Screen();
  screen.write(GREETING);
  const ask = () => prompt(session.current);
  if (!movesCursor()) {
    const { PlainLines } = await import("./plain_lines.ts");
    putBackAtEnd(() => terminal.setRaw(false));
    return new PlainLines(terminal, screen, ask);
  }
  const [{ LineEditor }, { Completer }, { liveSource }, { VmSymbolNames }] = await Promise.all([
    import("./line_editor.ts"),
    import("./completer.ts"),
    import("../completions/live_values.ts"),
    import("../completions/vm_symbol_names.ts"),
  ]);
  const completer = new Completer(session, liveSource(new VmSymbolNames()));
  const editor = new LineEditor({ terminal, screen, history, completer, prompt: ask, goesOn });
  putBackAtEnd(() => editor.putBack());
  return editor;
}

function putBackAtEnd(putBack: () => void): void {
  for (const [signal, status] of Object.entries(ENDING)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      putBack();
      Deno.exit(status);
    });
  }
}

/** Whether a text is the beginning of a statement that goes on in the next line. */
function goesOn(text: string): boolean {
  try {
    parse(text);
    return false;
  } catch (error) {
    return error instanceof ShellSyntaxError && error.incomplete;
  }
}
