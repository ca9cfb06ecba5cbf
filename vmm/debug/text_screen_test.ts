import assert from "node:assert/strict";
import { crc32, inflateSync } from "node:zlib";
import { GuestMemory } from "../guest_memory.ts";
import { OwnMemory } from "./physical_memory.ts";
import { glyph, GLYPH_HEIGHT } from "./screen_font.ts";
import { screenPng } from "./screen_image.ts";
import { readScreen, screenText, TEXT_ADDRESS } from "./text_screen.ts";

/** A screen that shows some bytes of code page 437, in one colour. */
function screen(bytes: Iterable<number>, attribute = 7) {
  const buffer = new ArrayBuffer(2 ** 20);
  const cells = new Uint8Array(buffer, TEXT_ADDRESS);
  [...bytes].forEach((byte, i) => cells.set([byte, attribute], 2 * i));
  return readScreen(new OwnMemory(new GuestMemory([{ base: 0, buffer, ram: true }])))!;
}

Deno.test("the screen's text is that of code page 437, without what is blank", () => {
  assert.equal(screenText(screen([0xc9, 0xcd, 0xbb, 0x20, 0x82, 0x01])), "╔═╗ é☺\n");
  assert.equal(screenText(screen([])), "");
  assert.equal(screenText(screen(new Uint8Array(81).fill(0x41))), `${"A".repeat(80)}\nA\n`);
});

Deno.test("every byte is one character, and those of ASCII are themselves", () => {
  const characters = screen(Array.from({ length: 256 }, (_, i) => i)).flat()
    .slice(0, 256).map(({ character }) => character);
  assert.equal(
    characters.slice(0x20, 0x7f).join(""),
    String.fromCharCode(
      ...Array.from({ length: 95 }, (_, i) => 0x20 + i),
    ),
  );
  assert.equal(new Set(characters).size, 254); // 0, 32 and 255 are blank
});

Deno.test("without memory there, there is no screen", () => {
  const buffer = new ArrayBuffer(4096);
  const memory = new OwnMemory(new GuestMemory([{ base: 0, buffer, ram: true }]));
  assert.equal(readScreen(memory), undefined);
});

Deno.test("every letter looks different from every other, and lines meet at the edges", () => {
  const ascii = Array.from({ length: 95 }, (_, i) => String.fromCharCode(0x20 + i));
  assert.equal(new Set(ascii.map((c) => glyph(c).join())).size, ascii.length);
  assert.equal(glyph("é").join(), glyph("e").join());
  for (const c of "│║┼╬╠┤") assert.equal(glyph(c)[0], glyph(c)[GLYPH_HEIGHT - 1], c);
  assert.equal(glyph("─")[7], 0xff);
  assert.equal(glyph("┌")[0], 0);
});

Deno.test("the image is a PNG of 640 by 400 in the attribute's colours", () => {
  const png = screenPng(screen([0xdb], 0x1e));
  const view = new DataView(png.buffer);
  const chunks = new Map<string, Uint8Array>();
  for (let at = 8; at < png.length;) {
    const length = view.getUint32(at);
    const body = png.subarray(at + 4, at + 8 + length);
    assert.equal(view.getUint32(at + 8 + length), crc32(body));
    chunks.set(new TextDecoder().decode(body.subarray(0, 4)), body.subarray(4));
    at += 12 + length;
  }
  assert.deepEqual([...chunks.keys()], ["IHDR", "PLTE", "IDAT", "IEND"]);
  const pixels = inflateSync(chunks.get("IDAT")!);
  assert.equal(pixels.length, 321 * 400);
  assert.deepEqual([pixels[0], pixels[1], pixels[5]], [0, 0xee, 0x00]);
});
