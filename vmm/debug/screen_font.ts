/**
 * How characters look on a screen of pixels, 8 by 16 each: ASCII in dots of a 5 by 7 grid, lines and
 * blocks drawn, letters with accents without them, all else as a box.
 *
 * @module
 */

/** Pixels of a character's width; each row is a byte, its highest bit at the left. */
export const GLYPH_WIDTH = 8;
/** Pixels of a character's height. */
export const GLYPH_HEIGHT = 16;

/** From space to tilde, the seven rows of each as digits to the base 32: five dots, the left one 16. */
const ASCII = `
  0000000 4444404 aa00000 aavavaa 4fke5u4 op248j3 cik8lid 4480000
  2488842 8422248 04lel40 044v440 0000448 000v000 00000cc 01248g0
  ehjlphe 4c4444e eh1248v v2421he 26aiv22 vgu11he 68guhhe v124888
  ehhehhe ehhf12c 0cc0cc0 0cc0448 248g842 00v0v00 8421248 eh12404
  eh1dlle ehhvhhh uhhuhhu ehggghe sihhhis vgguggv vgguggg ehgnhhf
  hhhvhhh e44444e 72222ic hikokih ggggggv hrllhhh hhpljhh ehhhhhe
  uhhuggg ehhhlid uhhukih fgge11u v444444 hhhhhhe hhhhha4 hhhllla
  hha4ahh hhha444 v1248gv e88888e 0g84210 e22222e 4ah0000 000000v
  8420000 00e1fhf ggmphhu 00egghe 11djhhf 00ehvge 698s888 0fhhf1e
  ggmphhh 40c444e 20622ic ggikoki c44444e 00qllhh 00mphhh 00ehhhe
  00uhugg 00djf11 00mpggg 00ege1u 88s8896 00hhhjd 00hhha4 00hhlla
  00ha4ah 00hhf1e 00v248v 2448442 4444444 8442448 008l200
`.trim().split(/\s+/);

/** Lines: how many go up, right, down and left from the middle. */
const LINES: Readonly<Record<string, string>> = Object.fromEntries(
  ("│1010 ┤1011 ╡1012 ╢2021 ╖0021 ╕0012 ╣2022 ║2020 ╗0022 ╝2002 ╜2001 ╛1002 ┐0011 └1100 ┴1101 " +
    "┬0111 ├1110 ─0101 ┼1111 ╞1210 ╟2120 ╚2200 ╔0220 ╩2202 ╦0222 ╠2220 ═0202 ╬2222 ╧1202 ╨2101 " +
    "╤0212 ╥0121 ╙2100 ╘1200 ╒0210 ╓0120 ╫2121 ╪1212 ┘1001 ┌0110")
    .split(" ").map((entry) => [entry[0]!, entry.slice(1)]),
);

/** Blocks: each row by its number. */
const BLOCKS: Readonly<Record<string, (row: number) => number>> = {
  " ": () => 0,
  "█": () => 0xff,
  "▄": (row) => row < GLYPH_HEIGHT / 2 ? 0 : 0xff,
  "▀": (row) => row < GLYPH_HEIGHT / 2 ? 0xff : 0,
  "▌": () => 0xf0,
  "▐": () => 0x0f,
  "░": (row) => row % 2 === 0 ? 0x22 : 0x88,
  "▒": (row) => row % 2 === 0 ? 0x55 : 0xaa,
  "▓": (row) => row % 2 === 0 ? 0xdd : 0x77,
  "■": (row) => row >= 4 && row < 12 ? 0x7e : 0,
};

const glyphs = new Map<string, Uint8Array>();

/**
 * The pixels of a character.
 *
 * @param character One character
 * @returns A byte a row
 */
export function glyph(character: string): Uint8Array {
  let found = glyphs.get(character);
  if (found === undefined) glyphs.set(character, found = draw(character));
  return found;
}

function draw(character: string): Uint8Array {
  const block = BLOCKS[character];
  if (block !== undefined) return Uint8Array.from({ length: GLYPH_HEIGHT }, (_, row) => block(row));
  const line = LINES[character];
  if (line !== undefined) return drawLines(Array.from(line, Number));
  const code = character.normalize("NFD").charCodeAt(0);
  const dots = ASCII[code - 0x20];
  const bytes = new Uint8Array(GLYPH_HEIGHT);
  if (dots === undefined) {
    bytes.fill(0x42, 3, 13);
    bytes[3] = bytes[12] = 0x7e;
    return bytes;
  }
  Array.from(dots).forEach((digit, row) => {
    bytes[1 + 2 * row] = bytes[2 + 2 * row] = parseInt(digit, 32) << 2;
  });
  return bytes;
}

/** Each arm goes from its edge to the far line of what crosses it, so that corners close. */
function drawLines([up = 0, right = 0, down = 0, left = 0]: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(GLYPH_HEIGHT);
  const columns = (lines: number) => lines === 2 ? [2, 5] : lines === 1 ? [3] : [];
  const rows = (lines: number) => lines === 2 ? [6, 9] : lines === 1 ? [7] : [];
  const across = rows(Math.max(left, right));
  const along = columns(Math.max(up, down));
  const set = (column: number, row: number) => bytes[row]! |= 0x80 >> column;
  for (const column of columns(up)) {
    for (let row = 0; row <= (across.at(-1) ?? 8); row++) set(column, row);
  }
  for (const column of columns(down)) {
    for (let row = across[0] ?? 7; row < GLYPH_HEIGHT; row++) set(column, row);
  }
  for (const row of rows(left)) {
    for (let column = 0; column <= (along.at(-1) ?? 4); column++) set(column, row);
  }
  for (const row of rows(right)) {
    for (let column = along[0] ?? 3; column < GLYPH_WIDTH; column++) set(column, row);
  }
  return bytes;
}
