/**
 * The shell: `hvsh` alone. On a terminal a person types its lines; otherwise they are fed on stdin,
 * and the first that fails ends it with its status.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { loadVerb, verbNames } from "../table.ts";
import { complaint } from "./complaint.ts";
import { evaluate } from "./evaluator.ts";
import { History, historyPath } from "./history.ts";
import { FedLines, type LineSource } from "./line_source.ts";
import { StdoutOutput } from "./output.ts";
import { parse, type Script } from "./parser.ts";
import { SIGINT_STATUS } from "./pipeline.ts";
import { Session } from "./session.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import { TerminalInput } from "./terminal.ts";

/** Signals that end a shell; the terminal has to be put back first. */
const ENDING = { SIGTERM: 143, SIGHUP: 129 } as const;
/** Exit status of a line that cannot be understood. */
const USAGE_STATUS = 2;

/**
 * Runs the shell until it is left.
 *
 * @returns Its exit status
 */
export async function runShell(): Promise<number> {
  const interactive = Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const history = await History.open(interactive ? historyPath() : undefined);
  const terminal = new TerminalInput(Deno.stdin);
  const session = new Session({
    verbs: { names: verbNames, load: loadVerb },
    output: new StdoutOutput(),
    note: (text) => console.error(text),
    interactive,
    ...(interactive ? { terminal } : {}),
    history: history.lines,
  });
  const lines = interactive
    ? await lineEditor(session, history, terminal)
    : new FedLines((buffer) => terminal.read(buffer));
  const shell = new Shell(session, lines, history);
  try {
    return await shell.run();
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    session.note(complaint(error, { source: "" }));
    return error.exitStatus;
  }
}

async function lineEditor(
  session: Session,
  history: History,
  terminal: TerminalInput,
): Promise<LineSource> {
  // A fed shell has no use for readline and Tab.
  const [{ LineEditor }, { Completer }, { findVms }] = await Promise.all([
    import("./line_editor.ts"),
    import("./completer.ts"),
    import("../live/run_directory.ts"),
  ]);
  for (const [signal, status] of Object.entries(ENDING)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      terminal.setRaw(false);
      Deno.exit(status);
    });
  }
  const vmNames = () => Promise.resolve(findVms().map(({ name }) => name));
  const completer = new Completer(session, vmNames);
  return new LineEditor({ terminal, history, completer });
}

class Shell {
  readonly #session: Session;
  readonly #lines: LineSource;
  readonly #history: History;
  #lineNumber = 0;
  #running: AbortController | undefined;

  constructor(session: Session, lines: LineSource, history: History) {
    this.#session = session;
    this.#lines = lines;
    this.#history = history;
  }

  async run(): Promise<number> {
    const session = this.#session;
    // ^C reaches the programs of a line by the terminal; what runs in here is told by its signal.
    Deno.addSignalListener("SIGINT", () => this.#interrupt());
    // ^\ is for the programs of a line as well.
    if (session.interactive) Deno.addSignalListener("SIGQUIT", () => {});
    while (session.leaving === undefined) {
      const statement = await this.#statement();
      if (statement === undefined) break;
      await this.#evaluate(statement);
    }
    return session.leaving ?? session.status;
  }

  #interrupt(): void {
    if (this.#running !== undefined) this.#running.abort();
    else if (!this.#session.interactive) Deno.exit(SIGINT_STATUS);
  }

  async #evaluate({ script, source, line }: Statement): Promise<void> {
    const session = this.#session;
    this.#running = new AbortController();
    const origin = { source, ...(session.interactive ? {} : { line }) };
    try {
      await evaluate(script, origin, session, this.#running.signal);
    } finally {
      this.#running = undefined;
    }
  }

  /** The next line, with those that it goes on in; undefined at the end. */
  async #statement(): Promise<Statement | undefined> {
    let source = "";
    let first = this.#lineNumber + 1;
    for (;;) {
      const line = await this.#lines.read(source !== "");
      if (line.kind === "interrupted") {
        this.#session.status = SIGINT_STATUS;
        source = "";
        first = this.#lineNumber + 1;
        continue;
      }
      if (line.kind === "end") {
        if (this.#session.interactive) console.log();
        if (source !== "") this.#parse(source, first, false);
        return undefined;
      }
      this.#lineNumber++;
      if (this.#session.interactive) await this.#remember(line.text);
      source += source === "" ? line.text : `\n${line.text}`;
      const script = this.#parse(source, first, true);
      if (script !== undefined) return { script, source, line: first };
    }
  }

  /** The tree; undefined if more is needed, or if it was wrong and that has been said. */
  #parse(source: string, line: number, more: boolean): Script | undefined {
    const session = this.#session;
    try {
      return parse(source);
    } catch (error) {
      if (!(error instanceof ShellSyntaxError)) throw error;
      if (more && error.incomplete) return undefined;
      const origin = { source, ...(session.interactive ? {} : { line }) };
      session.note(complaint(error, origin, error.span));
      session.status = USAGE_STATUS;
      if (!session.interactive) session.leaving = USAGE_STATUS;
      return { kind: "script", lists: [] };
    }
  }

  async #remember(line: string): Promise<void> {
    try {
      await this.#history.add(line);
    } catch (error) {
      this.#session.note(complaint(error, { source: "" }));
    }
  }
}

interface Statement {
  readonly script: Script;
  readonly source: string;
  /** The number of its first line. */
  readonly line: number;
}
