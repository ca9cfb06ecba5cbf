import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeKallsyms, DIGIT_TOKENS } from "./kallsyms.ts";
import { joinBytes } from "./join_bytes.ts";

const BASE = 0xffff_ffff_8100_0000n;
const COUNT = 3000;

/** Symbols in order, the first of them per-CPU offsets. */
const NAMES = Array.from({ length: COUNT }, (_, i) => ({
  name: i === 7 ? "x".repeat(200) : `sym_${i.toString(36)}_init`,
  address: i < 5 ? BigInt(i * 64) : BASE + BigInt(i * 48),
}));
const EXPECTED = NAMES.slice(5).map(({ name, address }) => ({ name, address, size: 0 }));

/** Tokens: each character that names have stands for itself, some others for several. */
const TOKENS = Array.from({ length: 256 }, (_, code) => {
  if (code >= 0x2e && code < 0x7f) return String.fromCharCode(code);
  return code === 1 ? "sym_" : code === 0xf0 ? "_init" : "zz";
});

const le = (value: number | bigint, size: number) =>
  Uint8Array.from({ length: size }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
const pad = (bytes: Uint8Array) => joinBytes([bytes, new Uint8Array((8 - bytes.length % 8) % 8)]);

function encoded(name: string): Uint8Array {
  const tokens = [..."T" + name].map((c) => c.charCodeAt(0));
  const text = String.fromCharCode(...tokens).replace("sym_", "\x01").replace("_init", "\xf0");
  const length = text.length;
  const head = length < 0x80 ? [length] : [length & 0x7f | 0x80, length >> 7];
  return Uint8Array.from([...head, ...Array.from(text, (c) => c.charCodeAt(0))]);
}

/** The tables, as scripts/kallsyms.c of each time lays them out. */
function tables(layout: "6.1" | "6.2" | "6.6", downwards: boolean): Uint8Array<ArrayBuffer> {
  const names = NAMES.map(({ name }) => encoded(name));
  const starts: number[] = [];
  let at = 0;
  names.forEach((name, i) => {
    if (i % 256 === 0) starts.push(at);
    at += name.length;
  });
  const markers = joinBytes(starts.map((start) => le(start, 4)));
  const indices: number[] = [];
  let length = 0;
  for (const token of TOKENS) {
    indices.push(length);
    length += token.length + 1;
  }
  const offsets = joinBytes(NAMES.map(({ address }, i) =>
    le(
      i < 5 ? (downwards ? address : 0n) : downwards ? BASE - 1n - address : address - BASE,
      4,
    )
  ));
  const piece = {
    offsets: [pad(offsets), le(BASE, 8)],
    names: [pad(le(COUNT, 4)), pad(joinBytes(names)), pad(markers)],
    sequence: [pad(new Uint8Array(3 * COUNT).fill(9))],
    tokens: [
      pad(new TextEncoder().encode(TOKENS.map((token) => `${token}\0`).join(""))),
      pad(joinBytes(indices.map((index) => le(index, 2)))),
    ],
  };
  const { sequence, tokens } = piece;
  const order = {
    "6.1": [...piece.offsets, ...piece.names, ...tokens],
    "6.2": [...piece.offsets, ...piece.names, ...sequence, ...tokens],
    "6.6": [...piece.names, ...tokens, ...piece.offsets, ...sequence],
  }[layout];
  return joinBytes([new Uint8Array(64).fill(0xcc), ...order, new Uint8Array(64).fill(0xcc)]);
}

function digitsIn(bytes: Uint8Array): number {
  return new TextDecoder("latin1").decode(bytes)
    .indexOf(new TextDecoder("latin1").decode(DIGIT_TOKENS));
}

for (const layout of ["6.1", "6.2", "6.6"] as const) {
  for (const downwards of [true, false]) {
    const how = downwards ? "downwards" : "upwards";
    Deno.test(`the tables of Linux ${layout} are read, addresses counted ${how}`, () => {
      const bytes = tables(layout, downwards);
      const found = decodeKallsyms(bytes, digitsIn(bytes))!;
      assert.notEqual(found, undefined);
      // Counted upwards, absolute ones can't be told from the others.
      const kernel = downwards ? found : found.slice(5);
      assert.deepEqual(kernel, EXPECTED);
    });
  }
}

Deno.test("tables with any bytes changed end in some way, and names only addresses of a kernel", () => {
  const whole = tables("6.1", true);
  const digits = digitsIn(whole);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), {
        minLength: 1,
        maxLength: 8,
      }),
      (changes) => {
        const bytes = whole.slice();
        for (const [at, value] of changes) bytes[at] = value;
        for (const { address } of decodeKallsyms(bytes, digits) ?? []) {
          assert.ok(address >= 0xffff_ffff_8000_0000n && address < 2n ** 64n);
        }
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("digits alone, at the very end or the start, are no tables", () => {
  assert.equal(decodeKallsyms(DIGIT_TOKENS, 0), undefined);
  const bytes = new Uint8Array(4096);
  bytes.set(DIGIT_TOKENS, 4096 - DIGIT_TOKENS.length);
  assert.equal(decodeKallsyms(bytes, 4096 - DIGIT_TOKENS.length), undefined);
  assert.equal(decodeKallsyms(tables("6.1", true).subarray(0, 30000), 100), undefined);
});
