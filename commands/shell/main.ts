/**
 * The shell: `hvsh` alone. On a terminal a person types its lines; otherwise they are fed on stdin,
 * and the first that fails ends it with its status.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { clearLine } from "../progress/drawn_line.ts";
import { complaint } from "./complaint.ts";
import { evaluate, SIGINT_STATUS } from "./evaluate.ts";
import { History, historyPath } from "./history.ts";
import { FedLines, type LineSource } from "./line_source.ts";
import { parse } from "./parser.ts";
import { runRcFile } from "./rc_file.ts";
import { endJobs, finish } from "./script.ts";
import { Session } from "./session.ts";
import { ShellSyntaxError } from "./syntax_error.ts";
import { standardStreams } from "./standard_streams.ts";
import { TerminalInput } from "./terminal.ts";
import type { Script } from "./tree.ts";
import { tableVerbs } from "./table_verbs.ts";

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
  const person: { lines?: LineSource } = {};
  const session = new Session({
    verbs: tableVerbs,
    streams: standardStreams(true),
    tell: (text) => {
      clearLine();
      if (person.lines?.tell === undefined) console.error(text);
      else person.lines.tell(text);
    },
    interactive,
    ...(interactive ? { terminal } : {}),
    history: history.lines,
  });
  // A fed shell has no use for an editor and Tab.
  const lines = person.lines = interactive
    ? await (await import("./typed_lines.ts")).typedLines(session, history, terminal)
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

class Shell {
  readonly #session: Session;
  readonly #lines: LineSource;
  readonly #history: History;
  #lineNumber = 0;
  #running: AbortController | undefined;
  /** The person has been told what would end with the shell. */
  #warned = false;

  constructor(session: Session, lines: LineSource, history: History) {
    this.#session = session;
    this.#lines = lines;
    this.#history = history;
  }

  async run(): Promise<number> {
    const session = this.#session;
    // ^C reaches the programs of a line by the terminal; what runs in here is told by its signal.
    Deno.addSignalListener("SIGINT", () => this.#interrupt());
    if (session.interactive) {
      // ^\ is for the programs of a line as well.
      Deno.addSignalListener("SIGQUIT", () => {});
      session.jobs.onEnd = (job) => session.note(`[${job.id}] ${job.state}  ${job.text}`);
      await this.#interruptible((signal) => runRcFile(session, signal));
    }
    for (;;) {
      const statement = session.leaving === undefined ? await this.#statement() : undefined;
      if (statement !== undefined) {
        const { script, source, line } = statement;
        const origin = { source, ...(session.interactive ? {} : { line }) };
        await this.#interruptible((signal) => evaluate(script, origin, session, signal));
        if (session.leaving === undefined) this.#warned = false;
      } else if (!this.#staysForJobs()) break;
    }
    if (session.interactive) await endJobs(session);
    return await this.#interruptible((signal) => finish(session, signal));
  }

  /** What runs in this process ends with it, of which a person is told once. */
  #staysForJobs(): boolean {
    const session = this.#session;
    const running = session.jobs.running.filter(({ pid }) => pid === undefined);
    if (!session.interactive || this.#warned || running.length === 0) return false;
    this.#warned = true;
    session.leaving = undefined;
    const jobs = running.map(({ id, text }) => `\n  [${id}] ${text}`).join("");
    session.note(`hvsh: These end with the shell:${jobs}\n  try: exit once more, or fg %JOB`);
    return true;
  }

  #interrupt(): void {
    if (this.#running !== undefined) this.#running.abort();
    else if (!this.#session.interactive) Deno.exit(SIGINT_STATUS);
  }

  async #interruptible<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const running = new AbortController();
    this.#running = running;
    try {
      return await run(running.signal);
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
      if (script === undefined) continue;
      return { script, source, line: first };
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
