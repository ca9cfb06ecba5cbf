import assert from "node:assert/strict";
import fc from "fast-check";
import { codeBits, describeTarget, disassemble } from "./disassembly.ts";
import { Symbols } from "./symbols.ts";

Deno.test("instructions have their addresses, bytes and targets", async () => {
  // call $+0x10; mov rax, [rip+8]; ret
  const code = Uint8Array.from([0xe8, 0x0b, 0, 0, 0, 0x48, 0x8b, 0x05, 8, 0, 0, 0, 0xc3]);
  const found = await disassemble(code, 64, 0x1000n);
  assert.deepEqual(found.map(({ address, target }) => [address, target]), [
    [0x1000n, 0x1010n],
    [0x1005n, 0x1014n],
    [0x100cn, undefined],
  ]);
  assert.deepEqual(found[2], { address: 0x100cn, bytes: Uint8Array.of(0xc3), text: "ret" });
  const symbols = new Symbols([{ name: "there", address: 0x1010n, size: 0 }]);
  assert.deepEqual(found.map((instruction) => describeTarget(instruction, symbols)), [
    "there",
    "there+0x4",
    undefined,
  ]);
});

Deno.test("any bytes are disassembled to their end, none left out", async () => {
  await fc.assert(fc.asyncProperty(
    fc.uint8Array({ maxLength: 60 }),
    fc.constantFrom<16 | 32 | 64>(16, 32, 64),
    async (code, bits) => {
      let at = 0x100n;
      for (const { address, bytes } of await disassemble(code.slice(), bits, at)) {
        assert.equal(address, at);
        assert.deepEqual(bytes, code.slice(Number(at) - 0x100, Number(at) - 0x100 + bytes.length));
        at += BigInt(bytes.length);
      }
      // What is left is the beginning of an instruction that is cut off.
      assert.ok(code.length - (Number(at) - 0x100) < 15);
    },
  ));
});

Deno.test("code is as wide as CS and EFER say", () => {
  const code = (l: bigint, db: bigint, efer: bigint) => codeBits({ "cs.l": l, "cs.db": db, efer });
  assert.deepEqual(
    [code(0n, 0n, 0n), code(0n, 1n, 0n), code(1n, 0n, 0x500n), code(0n, 1n, 0x500n)],
    [16, 32, 64, 32],
  );
  assert.equal(code(1n, 0n, 0n), 16, "outside of long mode L means nothing");
});
