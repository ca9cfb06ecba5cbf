/**
 * A table of text.
 *
 * @module
 */

/** One column. */
export interface TableColumn {
  readonly title: string;
  /** Its cells stand at the right. */
  readonly right: boolean;
}

const GAP = "  ";

/**
 * Renders a table: a line of titles, then one for each row, columns as wide as their widest cell.
 *
 * @param columns The columns
 * @param rows Their cells
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
): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => row.map(oneLine))];
  const widths = columns.map((_, i) => Math.max(...cells.map((row) => width(row[i]!))));
  return cells.map((row) => {
    const padded = row.map((cell, i) => {
      const space = " ".repeat(widths[i]! - width(cell));
      return columns[i]!.right ? space + cell : cell + space;
    });
    return padded.join(GAP).trimEnd() + "\n";
  }).join("");
}

/** Control characters would break the table, and could steer the person's terminal. */
function oneLine(cell: string): string {
  return cell.replace(/\p{Cc}/gu, "?");
}

/** Columns on a terminal, near enough: East Asian wide characters take two, combining ones none. */
function width(cell: string): number {
  let columns = 0;
  for (const character of cell) {
    if (/[\p{Mn}\p{Me}\p{Cf}]/u.test(character)) continue;
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u
          .test(character)
        ? 2
        : 1;
  }
  return columns;
}
