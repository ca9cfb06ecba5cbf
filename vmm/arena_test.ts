import assert from "node:assert/strict";
import fc from "fast-check";
import { VmError } from "../ffi/errors.ts";
import { Arena, Request, VcpuState } from "./arena.ts";
import { ArenaLayout } from "./arena_layout.ts";
import { ByteRing } from "./byte_ring.ts";

const needs = fc.record({
  state: fc.integer({ min: 0, max: 5000 }),
  pci: fc.integer({ min: 0, max: 5000 }),
});

Deno.test("no two pieces of an arena share a byte, or a cache line where threads write them", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 255 }),
    fc.array(needs, { maxLength: 12 }),
    fc.array(needs, { maxLength: 12 }),
    (cpus, first, later) => {
      const layout = new ArenaLayout(cpus, first, true);
      const { arena } = layout;
      const slices = [...layout.slices, ...later.map((needs) => layout.add(needs))];
      const spans = slices.flatMap(({ lock, offset, size, pci, pciSize, ring }) => [
        { from: lock * 4, to: offset + size },
        { from: pci, to: pci + pciSize },
        { from: ring, to: ring + ByteRing.sizeFor(65536) },
      ]).sort((a, b) => a.from - b.from);
      let end = (16 + 16 * cpus) * 4;
      for (const { from, to } of spans) {
        assert.equal(from % 64, 0);
        assert.ok(from >= end);
        end = to;
      }
      assert.ok(arena.buffer.byteLength >= end);
      [...first, ...later].forEach(({ state, pci }, i) => {
        assert.equal(arena.state(slices[i]!).byteLength, state);
        assert.equal(arena.pciState(slices[i]!).byteLength, pci);
      });
    },
  ));
});

Deno.test("places that are given back are found again, whole and zero", () => {
  const needs = { state: 100, pci: 500 };
  const layout = new ArenaLayout(1, [], true);
  const fill = () => {
    const slices = [];
    for (;;) {
      try {
        slices.push(layout.add(needs));
      } catch (error) {
        assert.ok(error instanceof VmError);
        return slices;
      }
    }
  };
  const slices = fill();
  assert.ok(slices.length > 50);
  for (const slice of slices) layout.arena.state(slice).setUint8(7, 1);
  for (const slice of fc.sample(fc.shuffledSubarray(slices, { minLength: slices.length }), 1)[0]!) {
    layout.remove(slice);
  }
  const again = fill();
  assert.deepEqual(again, slices);
  for (const slice of again) assert.equal(layout.arena.state(slice).getUint8(7), 0);
});

Deno.test("vCPUs have words of their own", () => {
  const { arena } = new ArenaLayout(3, [], false);
  arena.setRequest(1, Request.PAUSE);
  arena.setVcpuState(2, VcpuState.RUNNING);
  arena.setThreadId(0, 1234);
  const words = [0, 1, 2].map((id) => [arena.request(id), arena.vcpuState(id), arena.threadId(id)]);
  assert.deepEqual(words, [
    [Request.RUN, VcpuState.IDLE, 1234],
    [Request.PAUSE, VcpuState.IDLE, 0],
    [Request.RUN, VcpuState.RUNNING, 0],
  ]);
});

Deno.test("a vCPU that is about to wait while it is paused sees a change that came before", () => {
  const { arena } = new ArenaLayout(2, [], false);
  arena.setRequest(1, Request.PAUSE);
  arena.askForChange(1);
  arena.waitWhileRequested(1, Request.PAUSE); // or it would block this thread for ever
  arena.changeDone(1);
  assert.deepEqual([arena.changeAsked(1), arena.request(1)], [false, Request.PAUSE]);
  arena.letGo(1);
  arena.waitWhileRequested(1, Request.PAUSE);
});

Deno.test("the first reason to stop is the one that stays", () => {
  const { arena } = new ArenaLayout(1, [], false);
  assert.equal(arena.stopping, false);
  assert.equal(arena.stopReason, undefined);
  arena.stop("exit", 42);
  arena.stop("panic");
  assert.equal(arena.stopping, true);
  assert.deepEqual(arena.stopReason, { kind: "exit", status: 42 });
});

Deno.test("a second opening of the buffer is the same arena", () => {
  const { arena, slices } = new ArenaLayout(1, [{ state: 8, pci: 0 }], false);
  const other = new Arena(arena.buffer);
  arena.state(slices[0]!).setUint32(4, 0x1234_5678);
  assert.equal(other.state(slices[0]!).getUint32(4), 0x1234_5678);
  arena.ring(slices[0]!).write(65);
  assert.deepEqual([...other.ring(slices[0]!).take()], [65]);
  other.stop("halt");
  assert.equal(arena.stopReason?.kind, "halt");
});
