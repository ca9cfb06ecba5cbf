import assert from "node:assert/strict";
import { GuestMemory } from "./guest_memory.ts";
import { WriteLog } from "./write_log.ts";

const PAGE = 4096;
const SLOTS = [{ size: 3 * PAGE }, { size: 130 * PAGE }];

function pagesOf(bitmap: Uint8Array): number[] {
  return Array.from({ length: 8 * bitmap.length }, (_, page) => page)
    .filter((page) => (bitmap[page >> 3]! & (1 << (page & 7))) !== 0);
}

const taken = (log: WriteLog) => log.take().map(pagesOf);

Deno.test("a log has every page that was written since it was looked at, in KVM's order", () => {
  const log = new WriteLog(SLOTS, WriteLog.allocate(SLOTS));
  log.start();
  log.mark(0, PAGE, PAGE);
  log.mark(1, 0, 1);
  log.mark(1, 129 * PAGE + 5, 7);
  log.mark(1, 31 * PAGE + PAGE - 1, PAGE + 2);
  log.mark(1, 64 * PAGE, 0);
  assert.deepEqual(taken(log), [[1], [0, 31, 32, 33, 129]]);
  assert.deepEqual(taken(log), [[], []]);
  assert.deepEqual(log.take().map(({ length }) => length), [8, 24]);
});

Deno.test("a log that starts has forgotten what was before, and all threads see it", () => {
  const buffer = WriteLog.allocate(SLOTS);
  const [log, other] = [new WriteLog(SLOTS, buffer), new WriteLog(SLOTS, buffer)];
  assert.equal(other.on, false);
  log.mark(0, 0, 1);
  log.start();
  assert.equal(other.on, true);
  other.mark(1, 2 * PAGE, 1);
  assert.deepEqual(taken(log), [[], [2]]);
  log.stop();
  assert.equal(other.on, false);
});

Deno.test("that anything was written is known while the log is off too, by all threads", () => {
  const buffer = WriteLog.allocate(SLOTS);
  const [log, other] = [new WriteLog(SLOTS, buffer), new WriteLog(SLOTS, buffer)];
  const memory = new GuestMemory([{ base: 0, buffer: new ArrayBuffer(PAGE), ram: true }], log);
  assert.equal(other.any, false);
  for (const on of [false, true]) {
    if (on) log.start();
    memory.writeU32(0, 1);
    assert.equal(other.any, true);
    other.forgetAny();
    assert.equal(log.any, false);
  }
});

Deno.test("what guest memory's own methods write is noted while the log is on", () => {
  const log = new WriteLog(SLOTS, WriteLog.allocate(SLOTS));
  const memory = new GuestMemory([
    { base: 2 ** 32, buffer: new ArrayBuffer(130 * PAGE), ram: true },
    { base: PAGE, buffer: new ArrayBuffer(3 * PAGE), ram: true },
  ], log);
  memory.writeU32(PAGE, 1);
  log.start();
  memory.writeU32(2 * PAGE - 2, 1);
  memory.write(2 ** 32 + 7 * PAGE, new Uint8Array(PAGE + 1));
  memory.bytes(3 * PAGE, 4).fill(1);
  memory.written(3 * PAGE, 4);
  assert.deepEqual(taken(log), [[0, 1, 2], [7, 8]]);
});
