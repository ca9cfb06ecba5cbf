/**
 * A line typed at a terminal: Emacs keys, history, Tab, by node:readline. Readline itself would
 * read ahead and drop what it read behind the line's end, such as the second of two pasted lines
 * or the first keys for a program; so it is given its keys one line's worth at a time.
 *
 * @module
 */
import { type AsyncCompleter, createInterface, type Interface } from "node:readline";
import type { Completer } from "./completer.ts";
import type { History } from "./history.ts";
import { HistorySearch } from "./history_search.ts";
import type { Line, LineSource } from "./line_source.ts";
import { KeyStream, Screen, type TerminalInput } from "./terminal.ts";

const PROMPT = "hvsh> ";
const CONTINUING = "> ";
/** Keys behind which the state of the line has to be looked at before the next is pressed. */
const STOPS = new Set([..."\r\n\t\x03\x04\x12\x1a"].map((key) => key.charCodeAt(0)));
const TAB = "\t";
const CTRL_R = "\x12";
const CTRL_Z = "\x1a";

/** What the editor needs. */
export interface LineEditorOptions {
  readonly terminal: TerminalInput;
  readonly history: History;
  readonly completer: Completer;
}

/** Lines typed at a terminal. */
export class LineEditor implements LineSource {
  readonly #terminal: TerminalInput;
  readonly #history: History;
  readonly #completer: Completer;
  readonly #keys = new KeyStream();
  readonly #screen = new Screen();
  readonly #readline: Interface;
  readonly #decoder = new TextDecoder();
  /** What became of the line; undefined while it is typed. */
  #line: Line | undefined;
  #completing: Promise<unknown> = Promise.resolve();
  #search: HistorySearch | undefined;

  /** @param options What it needs */
  constructor({ terminal, history, completer }: LineEditorOptions) {
    this.#terminal = terminal;
    this.#history = history;
    this.#completer = completer;
    this.#readline = createInterface({
      input: this.#keys as unknown as NodeJS.ReadableStream,
      output: this.#screen as unknown as NodeJS.WritableStream,
      terminal: true,
      history: history.lines.toReversed(),
      historySize: 1000,
      removeHistoryDuplicates: true,
      completer: (text: string, done: CompleterCallback) => this.#complete(text, done),
    });
    this.#readline.on("line", (text: string) => this.#line = { kind: "line", text });
    this.#readline.on("close", () => this.#line = { kind: "end" });
    this.#readline.on("SIGINT", () => this.#interrupted());
    Deno.addSignalListener("SIGWINCH", () => this.#screen.emit("resize"));
  }

  /**
   * Lets the person type a line.
   *
   * @param continuing The line goes on with the one before
   * @returns The line; `interrupted` after Ctrl-C
   */
  async read(continuing: boolean): Promise<Line> {
    this.#line = undefined;
    this.#terminal.setRaw(true);
    try {
      this.#readline.setPrompt(continuing ? CONTINUING : PROMPT);
      this.#readline.prompt();
      const buffer = new Uint8Array(4096);
      while (this.#line === undefined) {
        const count = await this.#terminal.read(buffer);
        if (count === null) return { kind: "end" };
        await this.#press(buffer.slice(0, count));
      }
      return this.#line;
    } finally {
      this.#terminal.setRaw(false);
    }
  }

  async #press(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length;) {
      let end = start;
      while (end < bytes.length && !STOPS.has(bytes[end]!)) end++;
      if (end === start) end++;
      await this.#pressPiece(bytes.subarray(start, end));
      if (this.#line !== undefined) {
        this.#terminal.unread(bytes.subarray(end));
        return;
      }
      start = end;
    }
  }

  /** Keys without a stop among them, or one stop. */
  async #pressPiece(piece: Uint8Array): Promise<void> {
    if (this.#search !== undefined) return await this.#pressInSearch(this.#decoder.decode(piece));
    const key = String.fromCharCode(piece[0]!);
    if (key === CTRL_R) return this.#startSearch();
    // A shell that a person started is not left by a key that stops jobs.
    if (key === CTRL_Z) return;
    this.#keys.press(piece);
    if (key === TAB) await this.#completing;
  }

  async #pressInSearch(keys: string): Promise<void> {
    // An escape sequence is one key, and it ends the search.
    const pressed = keys.startsWith("\x1b") ? [keys] : [...keys];
    for (const [i, key] of pressed.entries()) {
      const step = this.#search!.press(key);
      if (step.kind === "going on") continue;
      this.#search = undefined;
      if (step.kind === "found") this.#replaceLine(step.line);
      this.#readline.prompt(true);
      const rest = step.rest + pressed.slice(i + 1).join("");
      if (rest !== "") await this.#press(new TextEncoder().encode(rest));
      return;
    }
    this.#screen.write(`\r\x1b[J${this.#search!.display}`);
  }

  #startSearch(): void {
    this.#search = new HistorySearch(this.#history.lines);
    this.#screen.write(`\r\x1b[J${this.#search.display}`);
  }

  #replaceLine(line: string): void {
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.#readline.write(line);
  }

  #interrupted(): void {
    this.#screen.write("^C\r\n");
    // Where the line stood has scrolled away, so it is not to be drawn over.
    Object.assign(this.#readline, { line: "", cursor: 0, prevRows: 0 });
    this.#line = { kind: "interrupted" };
  }

  #complete(text: string, done: CompleterCallback): void {
    this.#completing = this.#completer.complete(text).then(
      ({ candidates, replaced }) => done(null, [[...candidates], replaced]),
      () => done(null, [[], text]),
    );
  }
}

type CompleterCallback = Parameters<AsyncCompleter>[1];
