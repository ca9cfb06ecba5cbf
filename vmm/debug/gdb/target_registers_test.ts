import assert from "node:assert/strict";
import fc from "fast-check";
import { hexRegister, registerValue } from "./hex.ts";
import { memoryMapXml, targetXml } from "./target_description.ts";
import { type TargetArchitecture, targetFeatures } from "./target_registers.ts";

const files = { names: () => ["ymm0"] } as unknown as Parameters<typeof targetFeatures>[1];
const registersOf = (architecture: TargetArchitecture) =>
  targetFeatures(architecture, files).flatMap(({ registers }) => registers);

Deno.test("the first registers have the numbers that GDB's i386 targets always had", () => {
  const long = registersOf("i386:x86-64").map(({ name }) => name);
  assert.deepEqual([long[0], long[6], long[7], long[16], long[17], long[24], long[40], long[56]], [
    ...["rax", "rbp", "rsp", "rip", "eflags", "st0", "xmm0", "mxcsr"],
  ]);
  const short = registersOf("i386").map(({ name }) => name);
  assert.deepEqual([short[0], short[4], short[8], short[16], short[32], short[40]], [
    ...["eax", "esp", "eip", "st0", "xmm0", "mxcsr"],
  ]);
});

Deno.test("each register is described once, and its value goes there and back", () => {
  for (const architecture of ["i386:x86-64", "i386"] as const) {
    const features = targetFeatures(architecture, files);
    const xml = targetXml(architecture, features);
    for (const register of features.flatMap(({ registers }) => registers)) {
      assert.equal(xml.split(`<reg name="${register.name}"`).length, 2, register.name);
      if (register.group === "float" || /^[c-gs]s$/.test(register.name)) continue; // narrower inside
      fc.assert(
        fc.property(fc.bigInt(0n, (1n << BigInt(register.bits)) - 1n), (value) => {
          const old = register.of.map(() => (1n << 255n) - 1n);
          assert.equal(register.read(register.write(value, old)), value);
          assert.equal(registerValue(hexRegister(value, register.bits), register.bits), value);
        }),
        { numRuns: 5 },
      );
    }
  }
});

Deno.test("FXSAVE's tags are those of FSAVE in GDB: empty, valid, zero, special", () => {
  const tag = registersOf("i386").find(({ name }) => name === "ftag")!;
  const one = 0x3fff_8000_0000_0000_0000n;
  const infinity = 0x7fff_8000_0000_0000_0000n;
  // TOP is 6: ST0 is R6, ST1 is R7, ST2 is R0.
  const values = [0b1100_0001n, 6n << 11n, one, 0n, infinity, 0n, 0n, 0n, 0n, 0n];
  assert.equal(tag.read(values), 0b01_00_11_11_11_11_11_10n);
  assert.equal(tag.write(0b01_00_11_11_11_11_11_10n, values)[0], 0b1100_0001n);
});

Deno.test("the memory map has every address once, and ROM as ROM", () => {
  const slot = { address: 0n, ram: false };
  const xml = memoryMapXml([
    { ...slot, base: 0, size: 0xa0000, readonly: false },
    { ...slot, base: 0xfffc_0000, size: 0x4_0000, readonly: true },
  ]);
  const regions = [...xml.matchAll(/type="(\w+)" start="(\w+)" length="(\w+)"/g)]
    .map(([, type, start, length]) => ({ type, start: BigInt(start!), length: BigInt(length!) }));
  let end = 0n;
  for (const { start, length } of regions) {
    assert.equal(start, end);
    assert.ok(length < 2n ** 64n);
    end = start + length;
  }
  assert.equal(end, 2n ** 64n);
  assert.deepEqual(regions.filter(({ type }) => type === "rom"), [
    { type: "rom", start: 0xfffc_0000n, length: 0x4_0000n },
  ]);
});
