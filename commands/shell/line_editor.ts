/**
 * A line typed at a terminal: Emacs keys, history, Tab, pastes. It reads the terminal, has pure functions
 * say what a key does and how that looks, and writes what they say.
 *
 * @module
 */
import { candidateLines } from "./candidate_list.ts";
import type { Completer } from "./completer.ts";
import type { History } from "./history.ts";
import { HistorySearch } from "./history_search.ts";
import { beginWalk, type HistoryWalk, walkedTo, walkOn } from "./history_walk.ts";
import { BRACKETED_PASTE_OFF, BRACKETED_PASTE_ON, type Key, KeyDecoder } from "./keys.ts";
import {
  edited,
  EMPTY,
  inserted,
  type LineBuffer,
  lineEnd,
  lineStart,
  replaced,
} from "./line_buffer.ts";
import { draw, goBehind, layOut, type View } from "./line_screen.ts";
import type { Line, LineSource } from "./line_source.ts";
import { tabbed } from "./tab.ts";
import type { Screen, TerminalInput } from "./terminal.ts";

const CONTINUING = "> ";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";
const CLEAR_BELOW = "\r\x1b[J";
const BELL = "\x07";

/** What the editor needs. */
export interface LineEditorOptions {
  readonly terminal: TerminalInput;
  readonly screen: Screen;
  readonly history: History;
  readonly completer: Pick<Completer, "complete">;
  /** What stands before a line. */
  prompt(): Promise<string>;
  /** Whether a line goes on in the next one, so that Enter gives it another. */
  goesOn(text: string): boolean;
}

/** Lines typed at a terminal. A statement of several lines is edited, and comes, as one. */
export class LineEditor implements LineSource {
  readonly #options: LineEditorOptions;
  #decoder = new KeyDecoder();
  #buffer: LineBuffer = EMPTY;
  #prompt = "";
  #walk: HistoryWalk | undefined;
  #search: HistorySearch | undefined;
  /** Tab was the key before, and more than one word fits: once more lists them. */
  #undecided = false;
  /** Where the cursor is among the rows that are drawn; undefined while none are. */
  #drawn: { readonly above: number; readonly below: number } | undefined;
  #columns = 0;

  /** @param options What it needs */
  constructor(options: LineEditorOptions) {
    this.#options = options;
    Deno.addSignalListener("SIGWINCH", () => this.#resized());
    // However the shell ends, the next program does not want its pastes marked.
    addEventListener("unload", () => this.putBack());
  }

  /** Puts the terminal back as it was before a line was read. */
  putBack(): void {
    const { terminal, screen } = this.#options;
    const editing = this.#drawn !== undefined;
    this.#drawn = undefined;
    try {
      terminal.setRaw(false);
      if (editing) screen.write(BRACKETED_PASTE_OFF);
    } catch {
      // A terminal that has hung up needs nothing any more.
    }
  }

  /**
   * Lets the person type a line.
   *
   * @param continuing The line goes on with the one before
   * @returns The line; `interrupted` after ^C
   */
  async read(continuing: boolean): Promise<Line> {
    const { terminal, screen } = this.#options;
    terminal.setRaw(true);
    screen.write(BRACKETED_PASTE_ON);
    this.#buffer = { ...EMPTY, killed: this.#buffer.killed };
    this.#walk = undefined;
    this.#drawn = { above: 0, below: 0 };
    try {
      this.#prompt = continuing ? CONTINUING : await this.#options.prompt();
      this.#draw();
      const bytes = new Uint8Array(4096);
      for (;;) {
        const count = await terminal.read(bytes);
        if (count === null) return { kind: "end" };
        this.#decoder.push(bytes.subarray(0, count));
        const line = await this.#pressAll();
        if (line !== undefined) return line;
        this.#draw();
      }
    } finally {
      terminal.unread(this.#decoder.rest());
      this.putBack();
    }
  }

  /**
   * Shows a line above the one that is typed.
   *
   * @param text The line
   */
  tell(text: string): void {
    if (this.#drawn === undefined) return console.error(text);
    this.#options.screen.write(this.#toFirstRow() + CLEAR_BELOW);
    console.error(text.replaceAll("\n", "\r\n"));
    this.#drawn = { above: 0, below: 0 };
    this.#draw();
  }

  async #pressAll(): Promise<Line | undefined> {
    for (let key = this.#decoder.next(); key !== undefined; key = this.#decoder.next()) {
      const line = this.#search === undefined ? await this.#press(key) : await this.#seek(key);
      if (line !== undefined) return line;
    }
    return undefined;
  }

  async #press(key: Key): Promise<Line | undefined> {
    const undecided = this.#undecided;
    this.#undecided = false;
    if (key.kind !== "key") {
      this.#edit(inserted(this.#buffer, key.text));
      return undefined;
    }
    switch (key.name) {
      case "Enter":
        return this.#enter();
      case "C-c":
        return this.#leave({ kind: "interrupted" }, "^C");
      case "C-d":
        if (this.#buffer.text === "") return this.#leave({ kind: "end" });
        break;
      case "Tab":
        await this.#complete(undecided);
        return undefined;
      case "C-r":
        this.#search = new HistorySearch(this.#options.history.lines);
        return undefined;
      case "C-l":
        this.#options.screen.write(CLEAR_SCREEN);
        this.#drawn = { above: 0, below: 0 };
        return undefined;
      case "Up":
      case "C-p":
        this.#upOrDown(-1);
        return undefined;
      case "Down":
      case "C-n":
        this.#upOrDown(1);
        return undefined;
    }
    const after = edited(this.#buffer, key.name);
    if (after !== undefined) this.#edit(after);
    return undefined;
  }

  #edit(buffer: LineBuffer): void {
    if (buffer.text !== this.#buffer.text) this.#walk = undefined;
    this.#buffer = buffer;
  }

  #enter(): Line | undefined {
    const { text } = this.#buffer;
    if (this.#options.goesOn(text)) {
      this.#edit(inserted({ ...this.#buffer, cursor: text.length }, "\n"));
      return undefined;
    }
    return this.#leave({ kind: "line", text });
  }

  /** Leaves the line on the screen, all of it, and goes behind it. */
  #leave(line: Line, mark = ""): Line {
    const { text } = this.#buffer;
    this.#drawView(
      { ...this.#view(), text: text + mark, cursor: text.length + mark.length },
      Infinity,
    );
    // What ends the shell says so on the same line.
    if (line.kind !== "end") this.#options.screen.write(goBehind(this.#drawn!.below));
    return line;
  }

  async #seek(key: Key): Promise<Line | undefined> {
    const step = this.#search!.press(key);
    if (step.kind === "going on") return undefined;
    const place = this.#search!.place;
    this.#search = undefined;
    if (step.kind === "found") {
      this.#edit({ ...replaced(this.#buffer, step.line), cursor: place });
      return await this.#press(key);
    }
    const over = key.kind === "key" && (key.name === "C-g" || key.name === "C-c");
    return over ? undefined : await this.#press(key);
  }

  /** Through the lines of the text first, then through the history. */
  #upOrDown(step: -1 | 1): void {
    const { text, cursor } = this.#buffer;
    const edge = step < 0 ? lineStart(text, cursor) : lineEnd(text, cursor);
    if (edge !== (step < 0 ? 0 : text.length) && this.#walk === undefined) {
      const column = cursor - lineStart(text, cursor);
      const start = lineStart(text, edge + step);
      this.#buffer = {
        ...this.#buffer,
        cursor: Math.min(start + column, lineEnd(text, start)),
        last: "other",
      };
      return;
    }
    const walk = this.#walk ?? beginWalk(this.#options.history.lines, text, cursor);
    const on = walkOn(walk, step);
    if (on === undefined) return;
    this.#buffer = replaced(this.#buffer, walkedTo(on));
    this.#walk = on;
  }

  async #complete(undecided: boolean): Promise<void> {
    const { completer, screen } = this.#options;
    const { text, cursor } = this.#buffer;
    const completion = await completer.complete(text.slice(0, cursor));
    const step = tabbed(this.#buffer, completion);
    if (step.kind === "nothing") screen.write(BELL);
    if (step.kind === "written") this.#edit(step.buffer);
    this.#undecided = completion.candidates.length > 1;
    if (step.kind !== "undecided" || !undecided) return;
    const lines = candidateLines(completion.candidates, screen.size);
    this.#draw();
    screen.write(`${goBehind(this.#drawn!.below)}${lines.map((line) => `${line}\r\n`).join("")}`);
    this.#drawn = { above: 0, below: 0 };
  }

  #view(): View {
    const { text, cursor } = this.#buffer;
    const search = this.#search;
    if (search === undefined) {
      return { prompt: this.#prompt, continuing: CONTINUING, text, cursor };
    }
    return {
      prompt: search.prompt,
      continuing: CONTINUING,
      text: search.found ?? "",
      cursor: search.place,
    };
  }

  #draw(): void {
    this.#drawView(this.#view(), this.#options.screen.size.rows);
  }

  #drawView(view: View, rows: number): void {
    const { screen } = this.#options;
    this.#columns = screen.size.columns;
    const { output, above, below } = draw(
      layOut(view, this.#columns),
      this.#drawn?.above ?? 0,
      rows,
    );
    screen.write(output);
    this.#drawn = { above, below };
  }

  #toFirstRow(): string {
    const above = this.#drawn?.above ?? 0;
    return above === 0 ? "" : `\x1b[${above}A`;
  }

  /**
   * Some terminals break the rows on their screen anew and some do not; going up by the fewer rows of the
   * two never draws over what is above the line.
   */
  #resized(): void {
    if (this.#drawn === undefined) return;
    const { columns } = this.#options.screen.size;
    if (columns === this.#columns) return;
    const { row } = layOut(this.#view(), columns);
    this.#drawn = { ...this.#drawn, above: Math.min(this.#drawn.above, row) };
    this.#draw();
  }
}
