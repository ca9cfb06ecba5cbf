import assert from "node:assert/strict";
import fc from "fast-check";
import { GuestError, UsageError } from "../../ffi/errors.ts";
import { type ConditionScope, parseCondition } from "./condition.ts";
import { isRegister } from "./debug_scope.ts";

const scope: ConditionScope = {
  register: (name) => ({ rax: 5n, rdi: 0x1000n, eflags: 0x246n })[name] ?? 0n,
  memory(address, bytes) {
    if (address >= 0x2000n) throw new GuestError("not mapped");
    return BigInt.asUintN(8 * bytes, 0x8877_6655_4433_2211n >> (8n * (address % 8n)));
  },
};
const symbols = (name: string) => name === "jiffies" ? 0x1002n : undefined;
const value = (text: string) => parseCondition(text, isRegister, symbols).evaluate(scope);

Deno.test("conditions have C's operators and their precedence", () => {
  const cases: [string, bigint][] = [
    ["rax == 5", 1n],
    ["rax == 5 && u8[rdi] == 0x11", 1n],
    ["1 + 2 * 3", 7n],
    ["(1 + 2) * 3", 9n],
    ["1 << 4 | 1", 17n],
    ["6 & 3 == 3", 0n], // as C has it: 6 & (3 == 3)
    ["!0 + !5", 1n],
    ["-1", 2n ** 64n - 1n],
    ["~0 >> 63", 1n],
    ["1 << 64", 0n],
    ["7 / 2 + 7 % 4", 6n],
    ["1 / 0", 0n],
    ["0 - 1 > 5", 1n], // without a sign
    ["u16[jiffies]", 0x4433n],
    ["[rdi]", 0x8877_6655_4433_2211n],
    ["u32[rdi + 4]", 0x8877_6655n],
    ["1 || u8[0x2000]", 1n], // the right side is not looked at
    ["0 && u8[0x2000]", 0n],
    ["eflags & 0x40", 0x40n],
  ];
  for (const [text, expected] of cases) assert.equal(value(text), expected, text);
});

Deno.test("memory that is not there is the guest's error", () => {
  assert.throws(() => value("u8[0x2000] == 0"), GuestError);
});

Deno.test("what is no condition is told with the place", () => {
  const wrong = [
    "",
    "rax ==",
    "rax 5",
    "u8 rdi",
    "u8[rdi",
    "(1",
    "nosuch",
    "1 @ 2",
    "0x1ffffffffffffffff",
  ];
  for (const text of wrong) {
    assert.throws(() => value(text), (error) => error instanceof UsageError, text);
  }
  assert.throws(() => value("rax == nosuch"), /at "nosuch" a register or a symbol is due/);
  assert.throws(() => value("(".repeat(500) + "1"), UsageError);
});

Deno.test("any text is either a condition of 64 bits or a wrong use", () => {
  const piece = fc.constantFrom(
    ..."rax|rdi|u8|[|]|(|)|1|0xff|+|-|*|/|<<|>>|==|!=|&&|!|~| |$|jiffies".split("|"),
  );
  fc.assert(fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
    try {
      const result = value(pieces.join(""));
      assert.equal(result, BigInt.asUintN(64, result));
    } catch (error) {
      assert.ok(error instanceof UsageError || error instanceof GuestError, `${error}`);
    }
  }));
});
