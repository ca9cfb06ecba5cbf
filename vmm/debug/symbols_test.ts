import assert from "node:assert/strict";
import fc from "fast-check";
import { GuestMemory } from "../guest_memory.ts";
import { elfSymbols } from "./elf_symbols.ts";
import { joinBytes } from "./join_bytes.ts";
import { OwnMemory } from "./physical_memory.ts";
import { openSymbols, type Symbol, Symbols } from "./symbols.ts";

const START = 0xffff_ffff_8100_0000n;

Deno.test("the nearest symbol is the one that a scan would find", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ at: fc.nat({ max: 5000 }), size: fc.nat({ max: 50 }) }), { minLength: 1 }),
    fc.integer({ min: -10, max: 5100 }),
    (places, asked) => {
      const symbols = places.map(({ at, size }, i): Symbol => ({
        name: `s${i}`,
        address: START + BigInt(at),
        size,
      }));
      const address = START + BigInt(asked);
      const below = symbols.filter((s) => s.address <= address);
      const top = below.reduce((most, s) => s.address > most ? s.address : most, 0n);
      const best = below.find((s) => s.address === top);
      const inside = best !== undefined &&
        address - top < BigInt(best.size === 0 ? 2 ** 20 : best.size);
      assert.deepEqual(
        new Symbols(symbols).nearest(address),
        inside ? { name: best.name, offset: Number(address - top) } : undefined,
      );
    },
  ));
});

Deno.test("an address is read as a number, a symbol, or a symbol and an offset", () => {
  const symbols = new Symbols([
    { name: "start_kernel", address: START, size: 0 },
    { name: "read", address: START + 64n, size: 8, module: "ext4" },
  ]);
  assert.equal(symbols.resolve("0x1000"), 0x1000n);
  assert.equal(symbols.resolve("start_kernel"), START);
  assert.equal(symbols.resolve("start_kernel+0x10"), START + 16n);
  assert.equal(symbols.resolve("start_kernel+16"), START + 16n);
  assert.equal(symbols.resolve("nothing"), undefined);
  assert.equal(symbols.describe(START + 66n), "read+0x2 [ext4]");
  assert.equal(symbols.describe(START - 1n), undefined);
  assert.equal(symbols.size, 2);
});

/** An ELF with a symbol table, 32 or 64 bits. */
function elf(bits: 32 | 64, symbols: readonly (readonly [string, number, number, number])[]) {
  const wide = bits === 64;
  const words = (...values: readonly (readonly [number, number])[]) =>
    joinBytes(values.map(([value, size]) => {
      const bytes = new Uint8Array(size);
      for (let i = 0; i < Math.min(size, 6); i++) bytes[i] = Math.floor(value / 256 ** i) % 256;
      return bytes;
    }));
  const strings = new TextEncoder().encode(`\0${symbols.map(([name]) => name).join("\0")}\0`);
  let at = 1;
  const table = joinBytes([
    new Uint8Array(wide ? 24 : 16),
    ...symbols.map(([name, type, value, size]) => {
      const named = at;
      at += name.length + 1;
      return wide
        ? words([named, 4], [type, 1], [0, 1], [1, 2], [value, 8], [size, 8])
        : words([named, 4], [value, 4], [size, 4], [type, 1], [0, 1], [1, 2]);
    }),
  ]);
  const a = wide ? 8 : 4;
  const header = (type: number, offset: number, size: number, link: number) =>
    words([0, 4], [type, 4], [0, a], [0, a], [offset, a], [size, a], [link, 4], [0, 4], [0, a], [
      0,
      a,
    ]);
  const ehdr = wide ? 64 : 52;
  const shoff = ehdr + table.length + strings.length;
  const head = words(
    [0x464c457f, 4],
    [wide ? 2 : 1, 1],
    [1, 1],
    [1, 1],
    [0, 9],
    [2, 2],
    [62, 2],
    [1, 4],
    [0, a],
    [0, a],
    [shoff, a],
    [0, 4],
    [ehdr, 2],
    [0, 2],
    [0, 2],
    [wide ? 64 : 40, 2],
    [3, 2],
    [0, 2],
  ); // deno-fmt-ignore
  return joinBytes([
    head,
    table,
    strings,
    header(0, 0, 0, 0),
    header(2, ehdr, table.length, 2),
    header(3, ehdr + table.length, strings.length, 0),
  ]);
}

for (const bits of [32, 64] as const) {
  Deno.test(`the symbol table of an ELF of ${bits} bits is read, functions first`, () => {
    const bytes = elf(bits, [["data", 1, 0x1000, 4], ["main", 2, 0x1000, 32], ["", 3, 0, 0]]);
    assert.deepEqual(elfSymbols({ path: "a", bytes }), [
      { name: "main", address: 0x1000n, size: 32 },
      { name: "data", address: 0x1000n, size: 4 },
    ]);
  });
}

Deno.test("an ELF whose fields lie gives symbols or none, and nothing else", () => {
  const whole = elf(64, [["data", 1, 0x1000, 4], ["main", 2, 0x1000, 32]]);
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 255 })), { maxLength: 6 }),
    fc.nat({ max: whole.length }),
    (changes, length) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      assert.ok(Array.isArray(elfSymbols({ path: "a", bytes: bytes.slice(0, length) })));
    },
  ));
});

Deno.test("a guest without a kernel has no symbols; an ELF's own are found by its path", async () => {
  const buffer = new ArrayBuffer(2 ** 20);
  const memory = new OwnMemory(new GuestMemory([{ base: 0, buffer, ram: true }]));
  assert.equal((await openSymbols(memory)).size, 0);
  assert.equal((await openSymbols(memory, { kernel: "/nowhere" })).size, 0);
  const path = Deno.makeTempFileSync({ prefix: "hvsh-test-" });
  try {
    Deno.writeFileSync(path, elf(64, [["main", 2, 0x1000, 32]]));
    const symbols = await openSymbols(memory, { kernel: path });
    assert.equal(symbols.address("main"), 0x1000n);
  } finally {
    Deno.removeSync(path);
  }
});
