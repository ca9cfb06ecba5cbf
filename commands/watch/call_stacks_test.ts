import assert from "node:assert/strict";
import { Symbols } from "../../vmm/debug/symbols.ts";
import { CallStacks } from "./call_stacks.ts";
import { folded } from "./folded.ts";
import { nmSymbols } from "./symbol_file.ts";

const TABLE = `
ffffffff81000000 T start_kernel
ffffffff81000100 0000000000000010 t tiny
ffffffff81000200 T schedule
ffffffffa0000000 t ext4_read	[ext4]
not a symbol
                 U missing
`;
const symbols = new Symbols(nmSymbols(TABLE));

function stacksOf(root?: string): CallStacks {
  return new CallStacks((address) => symbols.nearest(address), root);
}

const kernel = (...frames: bigint[]) => ({ mode: "kernel" as const, cr3: 0x1000n, frames });

Deno.test("samples of one place are one stack, callers first, by their names", () => {
  const stacks = stacksOf();
  stacks.add(kernel(0xffff_ffff_8100_0210n, 0xffff_ffff_8100_0010n));
  stacks.add(kernel(0xffff_ffff_8100_0210n, 0xffff_ffff_8100_0010n));
  stacks.add(kernel(0xffff_ffff_a000_0004n));
  assert.equal(stacks.total, 3);
  assert.equal(folded(stacks.stacks), "start_kernel;schedule 2\next4_read [ext4] 1\n");
  assert.deepEqual(stacks.hottest, [
    { percent: 66.67, samples: 2, mode: "kernel", function: "schedule" },
    { percent: 33.33, samples: 1, mode: "kernel", function: "ext4_read [ext4]" },
  ]);
});

Deno.test("a return address belongs to the call before it, also at a function's very end", () => {
  const stacks = stacksOf();
  // A call that does not return is the last instruction of `tiny`.
  stacks.add(kernel(0xffff_ffff_8100_0200n, 0xffff_ffff_8100_0110n));
  assert.equal(folded(stacks.stacks), "tiny;schedule 1\n");
});

Deno.test("idle, user code of each process and unknown addresses are shown as such", () => {
  const stacks = stacksOf("web");
  const user = (cr3: bigint) => stacks.add({ mode: "user", cr3, frames: [0x40_1000n, 0x40_2000n] });
  user(0x1000n);
  user(0x2000n);
  user(0x2000n);
  stacks.add({ mode: "idle", cr3: 0x1000n, frames: [0xffff_ffff_8100_0204n] });
  assert.equal(
    folded(stacks.stacks),
    "web;[user 0x2000];0x402000;0x401000 2\nweb;[user 0x1000];0x402000;0x401000 1\n" +
      "web;schedule;[idle] 1\n",
  );
  assert.deepEqual(stacks.hottest, [
    { percent: 50, samples: 2, mode: "user", function: "0x401000", cr3: "0x2000" },
    { percent: 25, samples: 1, mode: "user", function: "0x401000", cr3: "0x1000" },
    { percent: 25, samples: 1, mode: "idle", function: "schedule" },
  ]);
});
