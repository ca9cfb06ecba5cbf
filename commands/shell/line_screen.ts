/**
 * How the text that is edited lies on the screen, and what is written to draw it. Pure functions from text
 * to text.
 *
 * @module
 */
import { graphemes, textWidth } from "../text_width.ts";

/** What is to be seen. */
export interface View {
  /** Before the first line. */
  readonly prompt: string;
  /** Before each line that follows. */
  readonly continuing: string;
  readonly text: string;
  /** Where the cursor is in the text, in UTF-16 units. */
  readonly cursor: number;
}

/** The terminal's size in characters. */
export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** One row of the screen. */
interface Row {
  readonly text: string;
  /** It takes all columns, so that what follows is written into the next one. */
  readonly full: boolean;
  /** The next row goes on with the same line. */
  readonly wrapped: boolean;
}

/** Where everything lies. */
export interface Layout {
  readonly rows: readonly Row[];
  /** The cursor's row, from 0. */
  readonly row: number;
  /** The cursor's column, from 0. */
  readonly column: number;
}

const TAB = 8;
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

/**
 * Lays out a view.
 *
 * @param view What is to be seen
 * @param columns The terminal's columns
 * @returns Its rows, and where the cursor is
 */
export function layOut({ prompt, continuing, text, cursor }: View, columns: number): Layout {
  const sheet = new Sheet(Math.max(2, columns));
  sheet.write(prompt);
  const lines = text.split("\n");
  let start = 0;
  let place = { row: 0, column: 0 };
  for (const [i, line] of lines.entries()) {
    if (i > 0) {
      sheet.newline();
      sheet.write(continuing);
    }
    if (cursor < start || cursor > start + line.length) sheet.write(line);
    else {
      sheet.write(line.slice(0, cursor - start));
      place = sheet.place;
      sheet.write(line.slice(cursor - start));
      if (cursor === start + line.length) place = sheet.place;
    }
    start += line.length + 1;
  }
  return { rows: sheet.end(), ...place };
}

class Sheet {
  readonly #columns: number;
  readonly #rows: Row[] = [];
  #row = "";
  #column = 0;

  constructor(columns: number) {
    this.#columns = columns;
  }

  /** Where the next character comes; a full row's is the start of the next one. */
  get place(): { row: number; column: number } {
    const row = this.#rows.length;
    return this.#column < this.#columns
      ? { row, column: this.#column }
      : { row: row + 1, column: 0 };
  }

  write(text: string): void {
    for (const grapheme of graphemes(text)) {
      const shown = this.#shown(grapheme);
      const width = textWidth(shown);
      if (this.#column + width > this.#columns) this.#wrap();
      this.#row += shown;
      this.#column += width;
    }
  }

  /** A full row before a newline leaves the cursor behind it a row of its own. */
  newline(): void {
    if (this.#column === this.#columns) this.#wrap();
    this.#push(false);
  }

  end(): Row[] {
    if (this.#column === this.#columns) this.#wrap();
    this.#push(false);
    return this.#rows;
  }

  #wrap(): void {
    this.#row += " ".repeat(this.#columns - this.#column);
    this.#column = this.#columns;
    this.#push(true);
  }

  #push(wrapped: boolean): void {
    this.#rows.push({ text: this.#row, full: this.#column === this.#columns, wrapped });
    this.#row = "";
    this.#column = 0;
  }

  #shown(grapheme: string): string {
    if (grapheme === "\t") {
      return " ".repeat(
        Math.min(TAB - this.#column % TAB, Math.max(1, this.#columns - this.#column)),
      );
    }
    return grapheme.replace(/\p{Cc}/gu, "?");
  }
}

/** What was drawn. */
export interface Drawn {
  /** What to write. */
  readonly output: string;
  /** How many rows the cursor stands below the first one that was drawn. */
  readonly above: number;
  /** How many rows were drawn below the cursor's. */
  readonly below: number;
}

/**
 * Draws a layout over the one before. What is higher than the screen is drawn around the cursor.
 *
 * @param layout Where everything lies
 * @param above How many rows the cursor stands below the first that was drawn before
 * @param rows The terminal's rows
 * @returns What to write, and where the cursor is then
 */
export function draw({ rows, row, column }: Layout, above: number, most: number): Drawn {
  const height = Math.min(rows.length, Math.max(1, most));
  const first = Math.max(0, Math.min(row - Math.floor(height / 2), rows.length - height));
  const shown = rows.slice(first, first + height);
  let output = up(above) + "\r";
  for (const [i, { text, full, wrapped }] of shown.entries()) {
    const last = i === shown.length - 1;
    const next = shown[i + 1];
    output += text;
    // At the right edge the cursor waits on the last character, which clearing would take away.
    if (!full) output += last ? CLEAR_BELOW : CLEAR_LINE;
    // A wrapped line is left to the terminal to wrap, so that it is one line when it is copied.
    if (!last && !(wrapped && next!.text !== "")) output += "\r\n";
  }
  const below = first + height - 1 - row;
  output += up(below) + "\r" + (column === 0 ? "" : `\x1b[${column}C`);
  return { output, above: row - first, below };
}

/**
 * Goes behind all that was drawn.
 *
 * @param below How many rows were drawn below the cursor's
 * @returns What to write
 */
export function goBehind(below: number): string {
  return "\r\n".repeat(below + 1);
}

function up(rows: number): string {
  return rows === 0 ? "" : `\x1b[${rows}A`;
}
