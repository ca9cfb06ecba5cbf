/**
 * Lines typed at a terminal that cannot move its cursor, such as an editor's own window: a prompt, and what
 * the terminal itself lets one edit.
 *
 * @module
 */
import { FedLines, type Line, type LineSource } from "./line_source.ts";
import type { Screen, TerminalInput } from "./terminal.ts";

const CONTINUING = "> ";

/** Lines typed at such a terminal. */
export class PlainLines implements LineSource {
  readonly #lines: FedLines;
  readonly #screen: Screen;
  readonly #prompt: () => Promise<string>;
  /** The line that is read; ^C leaves it to the next reader. */
  #reading: Promise<Line> | undefined;
  #interrupted: (line: Line) => void = () => {};

  /**
   * @param terminal Where lines are typed
   * @param screen Where prompts are written
   * @param prompt What stands before a line
   */
  constructor(terminal: TerminalInput, screen: Screen, prompt: () => Promise<string>) {
    this.#lines = new FedLines((buffer) => terminal.read(buffer));
    this.#screen = screen;
    this.#prompt = prompt;
    Deno.addSignalListener("SIGINT", () => this.#interrupted({ kind: "interrupted" }));
  }

  /**
   * Lets the person type a line.
   *
   * @param continuing The line goes on with the one before
   * @returns The line; `interrupted` after ^C
   */
  async read(continuing: boolean): Promise<Line> {
    this.#screen.write(continuing ? CONTINUING : await this.#prompt());
    this.#reading ??= this.#lines.read();
    const interrupted = new Promise<Line>((resolve) => this.#interrupted = resolve);
    const line = await Promise.race([this.#reading, interrupted]);
    this.#interrupted = () => {};
    if (line.kind === "interrupted") this.#screen.write("\n");
    else this.#reading = undefined;
    return line;
  }
}
