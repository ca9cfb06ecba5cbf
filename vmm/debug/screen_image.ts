/**
 * A text screen as an image (PNG, second edition): 16 colours of a palette, 4 bits a pixel.
 *
 * @module
 */
import { crc32, deflateSync } from "node:zlib";
import { joinBytes } from "./join_bytes.ts";
import { glyph, GLYPH_HEIGHT, GLYPH_WIDTH } from "./screen_font.ts";
import type { ScreenCell } from "./text_screen.ts";

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const BIT_DEPTH = 4;
const COLOUR_TYPE_PALETTE = 3;

/** VGA's 16 colours as the BIOS sets its palette. */
const PALETTE = Uint8Array.fromHex(
  "0000000000aa00aa0000aaaaaa0000aa00aaaa5500aaaaaa" +
    "5555555555ff55ff5555ffffff5555ff55ffffff55ffffff",
);

/**
 * Draws a screen.
 *
 * @param screen Its lines, all of one length
 * @returns A PNG file
 */
export function screenPng(screen: readonly (readonly ScreenCell[])[]): Uint8Array<ArrayBuffer> {
  const width = (screen[0]?.length ?? 0) * GLYPH_WIDTH;
  const height = screen.length * GLYPH_HEIGHT;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = BIT_DEPTH;
  header[9] = COLOUR_TYPE_PALETTE;
  return joinBytes([
    SIGNATURE,
    chunk("IHDR", header),
    chunk("PLTE", PALETTE),
    chunk("IDAT", deflateSync(pixels(screen, width, height))),
    chunk("IEND", new Uint8Array()),
  ]);
}

/** Two pixels a byte, and before each row a 0: it is not filtered. */
function pixels(
  screen: readonly (readonly ScreenCell[])[],
  width: number,
  height: number,
): Uint8Array {
  const stride = 1 + width / 2;
  const bytes = new Uint8Array(stride * height);
  screen.forEach((line, row) =>
    line.forEach(({ character, foreground, background }, column) =>
      glyph(character).forEach((dots, y) => {
        const start = (row * GLYPH_HEIGHT + y) * stride + 1 + column * GLYPH_WIDTH / 2;
        for (let x = 0; x < GLYPH_WIDTH; x += 2) {
          const left = dots & (0x80 >> x) ? foreground : background;
          const right = dots & (0x40 >> x) ? foreground : background;
          bytes[start + x / 2] = left << 4 | right;
        }
      })
    )
  );
  return bytes;
}

/** Length, type, data, and the CRC of the last two. */
function chunk(type: string, data: Uint8Array): Uint8Array {
  const body = joinBytes([new TextEncoder().encode(type), data]);
  const ends = new DataView(new ArrayBuffer(8));
  ends.setUint32(0, data.length);
  ends.setUint32(4, crc32(body));
  const [length, crc] = [new Uint8Array(ends.buffer, 0, 4), new Uint8Array(ends.buffer, 4, 4)];
  return joinBytes([length, body, crc]);
}
