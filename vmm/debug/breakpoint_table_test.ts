import assert from "node:assert/strict";
import fc from "fast-check";
import { VmError } from "../../ffi/errors.ts";
import {
  type BreakpointKind,
  type BreakpointRequest,
  BreakpointTable,
  packDebugRegisters,
  SLOTS,
} from "./breakpoint_table.ts";

const ABLE = { int3: true, executes: true, writes: true };
const at = (request: BreakpointRequest) => [Number(request.address)];
const execute = (address: bigint) => ({ kind: "execute", address }) as const;

Deno.test("the debug registers are used first, then traps", () => {
  const table = new BreakpointTable(ABLE);
  for (let i = 0n; i < 6n; i++) table.add(execute(i * 16n), at);
  assert.deepEqual(table.all.map(({ how }) => how), [
    ...Array(4).fill("hardware"),
    ...Array(2).fill("software"),
  ]);
  assert.deepEqual(table.patches, [[64], [80]]);
  assert.throws(() => table.add({ ...execute(1n), how: "hardware" }, at), /all are taken/);
  assert.equal(table.add({ ...execute(16n), how: "hardware" }, at).id, 7); // shares one
  assert.equal(table.remove(({ id }) => id === 1), 1);
  assert.equal(table.add({ kind: "write", address: 8n, length: 8 }, at).id, 8);
});

Deno.test("what a KVM does not tell of is not promised", () => {
  const table = new BreakpointTable({ int3: false, executes: false, writes: false });
  assert.equal(table.add(execute(0n), at).how, "software");
  for (const request of [{ ...execute(0n), how: "hardware" }, { kind: "write", address: 0n }]) {
    assert.throws(() => table.add(request as BreakpointRequest, at), /does not tell/);
  }
});

Deno.test("a CPU watches aligned 1, 2, 4 or 8 bytes, and code by its first", () => {
  const table = new BreakpointTable(ABLE);
  const wrong: BreakpointRequest[] = [
    { kind: "write", address: 2n, length: 4 },
    { kind: "write", address: 0n, length: 3 },
    { kind: "execute", address: 0n, length: 2 },
    { kind: "write", address: 0n, how: "software" },
    { kind: "write", address: 0n, physical: true },
    { kind: "execute", address: 0n, physical: true, how: "hardware" },
  ];
  for (const request of wrong) assert.throws(() => table.add(request, at), VmError);
  assert.deepEqual(table.all, []);
});

Deno.test("traps of two bytes do not lie over one another", () => {
  const table = new BreakpointTable({ ...ABLE, executes: false });
  const two = ({ address }: BreakpointRequest) => [Number(address), Number(address) + 1];
  table.add(execute(10n), two);
  table.add(execute(10n), two);
  table.add(execute(12n), two);
  for (const address of [9n, 11n, 13n]) {
    assert.throws(() => table.add(execute(address), two), VmError);
  }
});

Deno.test("DR7 says what each register waits for (SDM vol. 3, 17.2.4)", () => {
  const table = new BreakpointTable(ABLE);
  table.add(execute(0x1000n), at);
  table.add({ kind: "write", address: 0x2000n, length: 4 }, at);
  table.add({ kind: "access", address: 0x3000n, length: 8 }, at);
  assert.deepEqual(packDebugRegisters(table.slots()), [
    ...[0x1000n, 0x2000n, 0x3000n, 0n, 0n, 0n, 0n],
    0x0bd0_062an,
  ]);
  assert.deepEqual(table.slots(true).map(({ kind }) => kind), ["write", "access"]);
});

Deno.test("whatever comes and goes, at most four registers are taken and each breakpoint has a place", () => {
  const request = fc.record({
    kind: fc.constantFrom<BreakpointKind>("execute", "write", "access"),
    address: fc.bigInt(0n, 64n).map((n) => n * 8n),
    length: fc.constantFrom(1, 2, 4, 8),
  });
  fc.assert(fc.property(fc.array(request), fc.infiniteStream(fc.boolean()), (requests, coins) => {
    const table = new BreakpointTable(ABLE);
    for (const { kind, address, length } of requests) {
      try {
        table.add(kind === "execute" ? { kind, address } : { kind, address, length }, at);
      } catch (error) {
        assert.ok(error instanceof VmError);
      }
      if (coins.next().value) table.remove(({ id }) => id % 3 === 0);
      const slots = table.slots();
      assert.ok(slots.length <= SLOTS);
      for (const b of table.all) {
        assert.ok(b.patch !== undefined || slots.some((slot) => table.sharing(slot).includes(b)));
      }
    }
  }));
});
