import assert from "node:assert/strict";
import fc from "fast-check";
import { type Key, KeyDecoder } from "./keys.ts";

/** Keys in short: names in brackets, pastes in double brackets, text as it is. */
function short(keys: readonly Key[]): string {
  return keys.map((key) =>
    key.kind === "text" ? key.text : key.kind === "paste" ? `[[${key.text}]]` : `[${key.name}]`
  ).join("");
}

function keysOf(pieces: readonly Uint8Array[]): Key[] {
  const decoder = new KeyDecoder();
  const keys: Key[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let key = decoder.next(); key !== undefined; key = decoder.next()) keys.push(key);
  }
  return keys;
}

function typed(text: string): string {
  return short(keysOf([new TextEncoder().encode(text)]));
}

Deno.test("control characters and the sequences of terminals have the names of keys", () => {
  assert.equal(
    typed("ab\x01\x05\r\n\t\x7f\b"),
    "ab[C-a][C-e][Enter][Enter][Tab][Backspace][Backspace]",
  );
  assert.equal(
    typed("\x1b[A\x1bOB\x1b[H\x1b[4~\x1b[3~\x1b[Z"),
    "[Up][Down][Home][End][Delete][S-Tab]",
  );
  assert.equal(
    typed("\x1b[1;5C\x1b[1;3D\x1bb\x1b\x7f\x1bé"),
    "[C-Right][M-Left][M-b][M-Backspace][M-é]",
  );
  assert.equal(typed("\x1f\x1b\x1b[C"), "[C-_][Escape][Right]");
});

Deno.test("what no key here sends is one unknown key and leaves the next alone", () => {
  assert.equal(typed("\x1b[15~x\x1b[>1;2cy\x1bOPz"), "[unknown]x[unknown]y[unknown]z");
  assert.equal(typed(`\x1b[${"1;".repeat(40)}`).startsWith("[unknown]"), true);
});

Deno.test("a paste keeps newlines and tabs, and loses what would be keys", () => {
  assert.equal(
    typed("a\x1b[200~one\r\ntwo\rthree\t\x03\x1b[Aé\x1b[201~\r"),
    "a[[one\ntwo\nthree\t[Aé]][Enter]",
  );
});

Deno.test("bytes that come in any pieces are the same keys, and those left can be taken back", () => {
  const text = "a日é\x1b[1;5C\x1bb\x1b[200~p\r日\x1b[201~👨‍👩‍👧\x01\x1b[3~";
  const bytes = new TextEncoder().encode(text);
  const whole = short(keysOf([bytes]));
  fc.assert(fc.property(fc.array(fc.nat({ max: bytes.length })), (cuts) => {
    const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    const pieces = places.slice(1).map((end, i) => bytes.slice(places[i], end));
    assert.equal(short(keysOf(pieces)), whole);
  }));
  const decoder = new KeyDecoder();
  decoder.push(new TextEncoder().encode("\recho é\r"));
  assert.deepEqual(decoder.next(), { kind: "key", name: "Enter" });
  assert.equal(new TextDecoder().decode(decoder.rest()), "echo é\r");
  assert.equal(decoder.next(), undefined);
});

Deno.test("any bytes are taken, and nothing but an unfinished end waits", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
    const decoder = new KeyDecoder();
    decoder.push(bytes);
    let count = 0;
    while (decoder.next() !== undefined) assert.ok(++count <= bytes.length);
    const rest = decoder.rest();
    assert.ok(rest.length === 0 || rest[0] === 0x1b || rest[0]! >= 0xc0);
  }));
});
