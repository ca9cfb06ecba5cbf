/**
 * A table of text, made to fit a terminal.
 *
 * @module
 */
import { styleText } from "node:util";
import { cutText, plainText } from "./text_cut.ts";
import { textWidth } from "./text_width.ts";

/** What a cell says by its colour. */
export type CellColor = "green" | "yellow" | "red" | "gray";

/** One column. */
export interface TableColumn {
  readonly title: string;
  /** Its cells stand at the right: numbers, which are never cut. */
  readonly right: boolean;
  /** Its cells are to be had whole, whatever the width: commands to copy. */
  readonly whole?: boolean;
  /** The colour of a cell. */
  readonly color?: ((cell: string) => CellColor | undefined) | undefined;
}

/** What the table is to fit. */
export interface TableFit {
  /** Columns of the terminal; any if left out. */
  readonly columns?: number;
  /** Whether colours are welcome. */
  readonly color?: boolean;
}

const GAP = "  ";
/** Text that is cut shorter says nothing. */
const LEAST_TEXT = 6;

/**
 * Renders a table: a line of titles, then one for each row, columns as wide as their widest cell. Where that
 * is too wide the widest columns of text are cut with `…`, and if that does not help, the last columns
 * are left out.
 *
 * @param columns The columns, the most important first
 * @param rows Their cells
 * @param fit What it is to fit
 * @returns Lines with line ends, without spaces at their ends
 * @example
 * ```ts
 * import { renderTable } from "./text_table.ts";
 *
 * const columns = [{ title: "NAME", right: false }, { title: "PID", right: true }];
 * console.log(renderTable(columns, [["web", "812"]]));
 * ```
 */
export function renderTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  fit: TableFit = {},
): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(plainText))];
  const wanted = columns.map((_, i) => Math.max(...cells.map((row) => textWidth(row[i]!))));
  const widths = fittingWidths(columns, wanted, fit.columns ?? Infinity);
  return cells.map((row, line) => {
    const padded = widths.map((width, i) => {
      const { right, color } = columns[i]!;
      const cell = cutText(row[i]!, width);
      const space = " ".repeat(width - textWidth(cell));
      const chosen = fit.color === true && line > 0 ? color?.(row[i]!) : undefined;
      const shown = chosen === undefined ? cell : paint(chosen, cell);
      return right ? space + shown : shown + space;
    });
    return padded.join(GAP).trimEnd() + "\n";
  }).join("");
}

/** The widths of the columns that stay. */
function fittingWidths(
  columns: readonly TableColumn[],
  wanted: readonly number[],
  most: number,
): number[] {
  const least = columns.map(({ right, whole }, i) =>
    right || whole === true ? wanted[i]! : Math.min(wanted[i]!, LEAST_TEXT)
  );
  let count = columns.length;
  while (count > 1 && total(least.slice(0, count)) > most) count--;
  const widths = wanted.slice(0, count);
  for (let over = total(widths) - most; over > 0; over--) {
    let widest = -1;
    for (const [i, width] of widths.entries()) {
      if (width > least[i]! && (widest < 0 || width > widths[widest]!)) widest = i;
    }
    if (widest < 0) break;
    widths[widest]!--;
  }
  return widths;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

/** Whether colours are welcome has been asked of the terminal that the table is for. */
function paint(color: CellColor, text: string): string {
  return styleText(color, text, { validateStream: false });
}
