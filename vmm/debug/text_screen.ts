/**
 * The VGA text screen as a guest has it in memory: 80 by 25 cells of a character of code page 437 and an
 * attribute (IBM VGA technical reference, modes 2 and 3).
 *
 * @module
 */
import type { PhysicalMemory } from "./physical_memory.ts";

/** Where colour text modes have their cells. */
export const TEXT_ADDRESS = 0xb8000;
/** Cells of a line. */
export const COLUMNS = 80;
/** Lines. */
export const ROWS = 25;

/** Code page 437 in Unicode, as a screen shows it: 0 to 31 are pictures too. */
const CP437 = Array.from(
  " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼" +
    " !\"#$%&'()*+,-./0123456789:;<=>?" +
    "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_" +
    "`abcdefghijklmnopqrstuvwxyz{|}~⌂" +
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ" +
    "áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐" +
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀" +
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ",
);

/** A cell. */
export interface ScreenCell {
  /** In Unicode. */
  readonly character: string;
  /** 0 to 15. */
  readonly foreground: number;
  /** 0 to 15: the blink bit is taken for the background's brightness. */
  readonly background: number;
}

/**
 * Reads the screen.
 *
 * @param memory The guest's memory
 * @returns Its lines; undefined if there is no memory at 0xb8000
 */
export function readScreen(memory: PhysicalMemory): ScreenCell[][] | undefined {
  const bytes = new Uint8Array(2 * COLUMNS * ROWS);
  if (!memory.read(TEXT_ADDRESS, bytes)) return undefined;
  return Array.from({ length: ROWS }, (_, row) =>
    Array.from({ length: COLUMNS }, (_, column) => {
      const at = 2 * (row * COLUMNS + column);
      const attribute = bytes[at + 1]!;
      return {
        character: CP437[bytes[at]!]!,
        foreground: attribute & 0xf,
        background: attribute >> 4,
      };
    }));
}

/**
 * The screen's text.
 *
 * @param screen Its lines
 * @returns Lines with line ends, without spaces at their ends and empty ones at the end
 */
export function screenText(screen: readonly (readonly ScreenCell[])[]): string {
  const lines = screen.map((line) => line.map(({ character }) => character).join("").trimEnd());
  while (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line}\n`).join("");
}
