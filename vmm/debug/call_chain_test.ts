import assert from "node:assert/strict";
import fc from "fast-check";
import { callChain, type ChainStart, MOST_FRAMES, type ReadLinear } from "./call_chain.ts";

const BASE = 0xffff_8000_0000_0000n;
const SIZE = 0x1_0000;

/** Memory of 64 KiB in the upper half. */
function memory() {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  const read: ReadLinear = (address, target) => {
    const at = address - BASE;
    if (at < 0n || at + BigInt(target.length) > BigInt(SIZE)) return false;
    target.set(bytes.subarray(Number(at), Number(at) + target.length));
    return true;
  };
  return {
    bytes,
    read,
    /** A frame: the caller's frame pointer and the return address. */
    frame(at: number, caller: bigint, address: bigint) {
      view.setBigUint64(at, caller, true);
      view.setBigUint64(at + 8, address, true);
    },
    /** Some code that ends with a call; gives the address behind it. */
    call(at: number, code: readonly number[]): bigint {
      bytes.set(code, at - code.length);
      return BASE + BigInt(at);
    },
  };
}

const CALL = [0xe8, 1, 2, 3, 4];

function follow(start: Partial<ChainStart>, read: ReadLinear): bigint[] {
  const frames = new BigUint64Array(MOST_FRAMES);
  const count = callChain({ rip: 0x1234n, rsp: BASE, rbp: BASE, word: 8, ...start }, read, frames);
  return [...frames.subarray(0, count)];
}

Deno.test("a chain of frame pointers gives the callers, the innermost first", () => {
  const { frame, call, read } = memory();
  const [first, second] = [call(0x8000, CALL), call(0x8100, CALL)];
  frame(0x100, BASE + 0x200n, first);
  frame(0x200, 0n, second);
  assert.deepEqual(follow({ rsp: BASE + 0x80n, rbp: BASE + 0x100n }, read), [
    0x1234n,
    first,
    second,
  ]);
});

Deno.test("every near call that an address may follow is known", () => {
  const calls = [
    [0xe8, 0, 0, 0, 0],
    [0xff, 0xd0], // call rax
    [0x41, 0xff, 0xd3], // call r11
    [0xff, 0x10], // call [rax]
    [0xff, 0x14, 0xc8], // call [rax + rcx * 8]
    [0xff, 0x50, 0x18], // call [rax + 0x18]
    [0xff, 0x54, 0x24, 0x08], // call [rsp + 8]
    [0xff, 0x15, 1, 2, 3, 4], // call [rip + …]
    [0xff, 0x90, 1, 2, 3, 4], // call [rax + …]
    [0xff, 0x94, 0x24, 1, 2, 3, 4], // call [rsp + …]
    [0xff, 0x14, 0xc5, 1, 2, 3, 4], // call [rax * 8 + …]
  ];
  for (const code of calls) {
    const { frame, call, read } = memory();
    const address = call(0x8000, code);
    frame(0x100, 0n, address);
    assert.deepEqual(follow({ rbp: BASE + 0x100n }, read), [0x1234n, address], String(code));
  }
  for (const code of [[0xff, 0xe0], [0xff, 0x25, 1, 2, 3, 4], [0x90, 0x90]]) {
    const { frame, call, read } = memory();
    frame(0x100, 0n, call(0x8000, code));
    assert.deepEqual(follow({ rbp: BASE + 0x100n }, read), [0x1234n], String(code));
  }
});

Deno.test("a frame below the stack, unaligned, far away or not there ends the chain", () => {
  const { frame, call, read } = memory();
  const address = call(0x8000, CALL);
  frame(0x100, BASE + 0x100n, address); // its own caller
  assert.deepEqual(follow({ rbp: BASE + 0x100n }, read), [0x1234n, address]);
  for (const rbp of [0n, BASE + 0x104n, BASE + BigInt(SIZE), BASE - 8n, 2n ** 64n - 8n]) {
    assert.deepEqual(follow({ rbp }, read), [0x1234n]);
  }
  assert.deepEqual(follow({ rbp: BASE + 0x100n, rsp: BASE + 0x108n }, read), [0x1234n]);
  assert.deepEqual(follow({ rbp: BASE + 0x100n, rsp: BASE - (1n << 21n) }, read), [0x1234n]);
  assert.deepEqual(follow({ rbp: BASE + 0x100n, word: 0 }, read), [0x1234n]);
});

Deno.test("however deep the stack, the chain is bounded", () => {
  const { frame, call, read } = memory();
  const address = call(0xff00, CALL);
  for (let at = 0x10; at < 0x1000; at += 0x10) frame(at, BASE + BigInt(at + 0x10), address);
  assert.equal(follow({ rbp: BASE + 0x10n }, read).length, MOST_FRAMES);
});

Deno.test("whatever the stack holds, the chain goes up and ends", () => {
  fc.assert(fc.property(
    fc.array(fc.record({ at: fc.nat(0xff), to: fc.nat(0x1ff), code: fc.nat(0xff) })),
    fc.nat(0xff),
    fc.constantFrom(4 as const, 8 as const),
    (frames, start, word) => {
      const { frame, call, read } = memory();
      for (const { at, to, code } of frames) {
        const address = call(0x8000 + code * 16, CALL);
        frame(at * 16, BASE + BigInt(to * 8), address);
      }
      let reads = 0;
      const counting: ReadLinear = (address, target) => {
        reads++;
        return read(address, target);
      };
      const chain = follow({ rbp: BASE + BigInt(start * 16), word }, counting);
      assert.ok(chain.length <= MOST_FRAMES && reads <= 2 * MOST_FRAMES);
    },
  ));
});
