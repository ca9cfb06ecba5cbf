import assert from "node:assert/strict";
import fc from "fast-check";
import { parseAssignments } from "./registers_file.ts";
import { LineError } from "./vm_place.ts";

const name = fc.stringMatching(/^[a-z_][a-z0-9_.]{0,11}$/);
const value = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

Deno.test("what is shown can be written, as lines or as words", () => {
  fc.assert(fc.property(fc.dictionary(name, value), (registers) => {
    const pairs = Object.entries(registers).map(([name, value]) =>
      [name, `0x${value.toString(16)}`] as const
    );
    const lines = pairs.map(([name, value]) => `${name} ${value}\n`).join("");
    const words = pairs.map(([name, value]) => `${name}=${value}`).join(" ");
    assert.deepEqual({ ...parseAssignments(lines) }, Object.fromEntries(pairs));
    assert.deepEqual({ ...parseAssignments(words) }, Object.fromEntries(pairs));
  }));
});

Deno.test("any text is taken, or refused with a place in one of its lines", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      parseAssignments(text);
    } catch (error) {
      assert.ok(error instanceof LineError, `${error}`);
      assert.ok(text.split("\n").includes(error.fault.line));
      assert.ok(error.fault.column <= error.fault.line.length);
    }
  }));
});

Deno.test("a value that is missing or none is pointed at", () => {
  const column = (text: string) => {
    try {
      parseAssignments(text);
    } catch (error) {
      return (error as LineError).fault.column;
    }
    return undefined;
  };
  assert.equal(column("rax=1 rbx=x"), 10);
  assert.equal(column("rax"), 3);
  assert.equal(column("rax 0x1\nrbx y"), 4);
  assert.equal(column("a-b=1"), 0);
  assert.equal(column("rax=1"), undefined);
});
