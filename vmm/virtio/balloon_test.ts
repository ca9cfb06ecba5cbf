import "../../tests/c_library.ts";
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { DocumentError, VmError } from "../../ffi/errors.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../tests/virtio_machine.ts";
import { balloon } from "./balloon.ts";

const PAGE = 4096;
const MIB = 2 ** 20;
/** Above what the drivers use of guest memory: their heap starts at 1 MiB, and they take little. */
const FREE = 8 * MIB;
const FREE_PAGES = FREE / PAGE;

const pfns = (...list: number[]) => new Uint8Array(Uint32Array.from(list).buffer);

function onEach(
  name: string,
  config: Record<string, unknown>,
  test: (vm: VirtioMachine) => void | Promise<void>,
  options: VirtioMachineOptions = {},
): void {
  for (const transport of TRANSPORTS) {
    Deno.test(`balloon over ${transport}: ${name}`, async () => {
      await using vm = await VirtioMachine.open(balloon, config, { transport, ...options });
      await test(vm);
      equal(vm.status & 64, 0);
    });
  }
}

/** Gives a buffer to a queue, and has it worked. */
function give(vm: VirtioMachine, queue: number, ...read: Uint8Array[]): void {
  vm.driver(queue).add({ read });
  turn(vm, queue);
}

function turn(vm: VirtioMachine, queue: number): void {
  vm.kick(queue);
  vm.poll();
  equal(vm.driver(queue).collect().length, 1);
  ok(vm.takeInterrupt(queue));
}

/** Bytes of guest memory that the host holds pages for. */
function resident(vm: VirtioMachine): number {
  let total = 0;
  for (const { host, buffer } of vm.memory.regions) {
    let inside = false;
    for (const line of Deno.readTextFileSync("/proc/self/smaps").split("\n")) {
      const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line);
      if (range !== null) {
        const [start, end] = [parseInt(range[1]!, 16), parseInt(range[2]!, 16)];
        inside = start < host! + buffer.byteLength && end > host!;
      } else if (inside && line.startsWith("Rss:")) {
        total += parseInt(line.slice(4)) * 1024;
      }
    }
  }
  return total;
}

onEach("pages that the guest gives up go back to the host, and read as zero later", {}, (vm) => {
  const bytes = vm.memory.bytes(FREE, 4 * MIB);
  bytes.fill(0xaa);
  const before = resident(vm);
  // Backwards, as Linux's allocator likes it; one page twice; and one that stays.
  const list = Array.from({ length: 1024 }, (_, i) => FREE_PAGES + 1023 - i)
    .filter((pfn) => pfn !== FREE_PAGES + 5);
  for (let at = 0; at < list.length; at += 256) {
    give(vm, 0, pfns(...list.slice(at, at + 256), list[at]!));
  }
  equal(before - resident(vm), 1023 * PAGE);
  equal(vm.stats.released, 1023 * PAGE);
  ok(bytes.subarray(5 * PAGE, 6 * PAGE).every((byte) => byte === 0xaa));
  ok(bytes.subarray(0, 5 * PAGE).every((byte) => byte === 0));
  ok(bytes.subarray(6 * PAGE).every((byte) => byte === 0));
  equal(vm.stats.inflated, 1027 * PAGE);
  // What the guest takes back it just uses.
  give(vm, 1, pfns(FREE_PAGES, FREE_PAGES + 1));
  bytes[0] = 1;
  equal(bytes[0], 1);
  equal(vm.stats.deflated, 2 * PAGE);
});

onEach("pages that there aren't are counted, and nothing else happens", {}, (vm) => {
  vm.memory.bytes(FREE, PAGE).fill(1);
  vm.memory.bytes(2 ** 32, PAGE).fill(1);
  const top = 16 * MIB / PAGE;
  give(vm, 0, pfns(top, top + 1, 2 ** 32 - 1, 2 ** 32 - 2, 2 ** 31, FREE_PAGES, 2 ** 20));
  equal(vm.stats.invalid, 5);
  equal(vm.stats.released, 2 * PAGE);
  equal(vm.memory.bytes(FREE, 1)[0], 0);
  equal(vm.memory.bytes(2 ** 32, 1)[0], 0);
  // Half a page number at the end is none.
  give(vm, 0, pfns(FREE_PAGES), Uint8Array.of(1, 2, 3));
  equal(vm.stats.inflated, 8 * PAGE);
});

onEach("a buffer of more page numbers than any driver sends needs a reset", {}, (vm) => {
  vm.driver(0).add({ read: [{ address: 0, length: 4 * 16384 }] });
  turn(vm, 0);
  vm.driver(0).add({ read: [{ address: 0, length: 4 * 16385 }] });
  vm.kick(0);
  vm.poll();
  equal(vm.status & 64, 64);
  vm.reset();
  vm.start();
  give(vm, 0, pfns(FREE_PAGES));
});

onEach("the host asks for memory, and the guest says what it has given", { target: "4M" }, (vm) => {
  const { registers } = vm;
  equal(registers.readConfig(0, 4), 4 * MIB / PAGE);
  ok(vm.threads.main.action!("target", "1M"));
  ok(vm.takeInterrupt(-1));
  equal(registers.readConfig(0, 4), 256);
  equal(registers.readConfig(1, 1), 1);
  equal(registers.readConfig(2, 2), 0);
  equal(registers.readConfig(8, 4), 0);
  registers.writeConfig(4, 4, 100);
  equal(registers.readConfig(4, 4), 100);
  deepEqual([vm.stats.target, vm.stats.actual], [MIB, 100 * PAGE]);
  // The guest's word is only a word: what underflowed there shows as all of its memory.
  registers.writeConfig(4, 4, 2 ** 32 - 1);
  equal(vm.stats.actual, 17 * MIB);
  registers.writeConfig(0, 4, 77); // not the guest's to write
  equal(registers.readConfig(0, 4), 256);
  for (const wrong of ["18M", "x", "-1", ""]) {
    throws(() => vm.threads.main.action!("target", wrong), VmError, wrong);
  }
  throws(() => vm.threads.main.action!("target"), VmError);
  equal(vm.threads.main.action!("nonsense"), false);
  vm.reset();
  equal(registers.readConfig(0, 4), 256);
  equal(registers.readConfig(4, 4), 0);
  vm.start();
});

const stat = (tag: number, value: bigint) => {
  const view = new DataView(new ArrayBuffer(10));
  view.setUint16(0, tag, true);
  view.setBigUint64(2, value, true);
  return new Uint8Array(view.buffer);
};

onEach("the guest's figures are asked for again and again", { statsInterval: 2 }, (vm) => {
  const figures = () => ({
    free: vm.stats.free_memory,
    total: vm.stats.total_memory,
    swapIn: vm.stats.swap_in,
  });
  const driver = vm.driver(2);
  driver.add({ read: [stat(4, 1000n), stat(5, 2n ** 40n), stat(0, 2n ** 64n - 1n), stat(99, 1n)] });
  ok(vm.notify(2));
  vm.poll();
  deepEqual(figures(), { free: 1000, total: 2 ** 40, swapIn: undefined });
  vm.advance(1999);
  deepEqual(driver.collect(), []); // the buffer stays with the device
  vm.advance(1);
  equal(driver.collect().length, 1);
  ok(vm.takeInterrupt(2));
  driver.add({ read: [stat(4, 900n), Uint8Array.of(1, 2, 3)] });
  ok(vm.notify(2));
  vm.poll();
  equal(figures().free, 900);
  vm.advance(2000);
  equal(driver.collect().length, 1);
  // A guest that doesn't answer is not asked twice.
  vm.advance(100_000);
  deepEqual(driver.collect(), []);
}, { fakeClock: true });

onEach("without an interval the figures are those of the guest's start", {}, (vm) => {
  vm.driver(2).add({ read: [stat(4, 5n)] });
  ok(vm.notify(2));
  vm.poll();
  equal(vm.stats.free_memory, 5);
  vm.advance(1e9);
  deepEqual(vm.driver(2).collect(), []);
}, { fakeClock: true });

for (const queue of [3, 4]) {
  onEach(`free pages are reported on queue ${queue}, and go back to the host`, {}, (vm) => {
    const bytes = vm.memory.bytes(FREE, 2 * MIB);
    bytes.fill(0xaa);
    const before = resident(vm);
    vm.driver(queue).add({
      write: [
        { address: FREE, length: MIB },
        { address: FREE + MIB + 100, length: 3 * PAGE }, // two whole pages are in it
        { address: FREE + 2 * MIB - 100, length: 50 }, // and here none
      ],
    });
    vm.kick(queue);
    vm.poll();
    equal(before - resident(vm), MIB + 2 * PAGE);
    equal(vm.driver(queue).collect().length, 1);
    ok(bytes.subarray(0, MIB).every((byte) => byte === 0));
    ok(bytes.subarray(MIB, MIB + PAGE).every((byte) => byte === 0xaa));
    ok(bytes.subarray(MIB + 3 * PAGE).every((byte) => byte === 0xaa));
    deepEqual([vm.stats.reported, vm.stats.released], [MIB + 3 * PAGE + 50, MIB + 2 * PAGE]);
  });
}

onEach("a guest that fills its free pages keeps what they read as", {}, (vm) => {
  vm.registers.writeConfig(12, 4, 0xaaaa_aaaa);
  const bytes = vm.memory.bytes(FREE, MIB);
  bytes.fill(0xaa);
  vm.driver(3).add({ write: [{ address: FREE, length: MIB }] });
  turn(vm, 3);
  ok(bytes.every((byte) => byte === 0xaa));
  equal(vm.stats.released, 0);
});

const FORK = [{ base: 0, size: 16 * MIB, private: true, filling: 0x55 }];

onEach("what a fork's guest says it fills stays as it is: its image has other bytes", {}, (vm) => {
  const bytes = vm.memory.bytes(FREE, MIB);
  bytes.fill(0); // poison_val is 0: what init_on_free does
  vm.driver(3).add({ write: [{ address: FREE, length: MIB }] });
  turn(vm, 3);
  ok(bytes.every((byte) => byte === 0));
  deepEqual([vm.stats.reported, vm.stats.released, vm.stats.failed], [MIB, 0, 1]);
}, { memory: FORK });

onEach(
  "a fork's free pages are given back where the guest does not mind what they read as",
  {},
  (vm) => {
    const bytes = vm.memory.bytes(FREE, MIB);
    bytes.fill(1);
    vm.driver(3).add({ write: [{ address: FREE, length: MIB }] });
    turn(vm, 3);
    equal(vm.stats.released, MIB);
    ok(bytes.every((byte) => byte === 0x55));
  },
  { memory: FORK, without: [4] },
);

onEach("without statistics the third queue is the reporting one", {}, (vm) => {
  vm.memory.bytes(FREE, PAGE).fill(1);
  vm.driver(2).add({ write: [{ address: FREE, length: PAGE }] });
  turn(vm, 2);
  equal(vm.stats.released, PAGE);
}, { without: [1] });

Deno.test("balloon: what is not wanted is not offered", async () => {
  await using all = await VirtioMachine.open(balloon, {}, { start: false });
  await using none = await VirtioMachine.open(balloon, { deflateOnOom: false, reporting: false }, {
    start: false,
  });
  equal(all.registers.offered & 0x3fn, 0b110110n);
  equal(none.registers.offered & 0x3fn, 0b10n);
  await rejects(VirtioMachine.open(balloon, { target: "18M" }), DocumentError);
  const schema = balloon.schema!;
  equal(v.parse(schema, { target: "256M" }).target, 256 * MIB);
  for (
    const wrong of [
      { target: -1 },
      { target: "x" },
      { statsInterval: 0.01 },
      { statsInterval: NaN },
      { deflateOnOom: 1 },
    ]
  ) throws(() => v.parse(schema, wrong));
});

Deno.test("balloon: random page numbers and ranges free what they name, and nothing beside it", async () => {
  const first = FREE_PAGES;
  const list = fc.array(
    fc.oneof(fc.integer({ min: first - 3, max: first + 70 }), fc.nat(2 ** 32 - 1)),
    { maxLength: 100 },
  );
  await using vm = await VirtioMachine.open(balloon);
  const bytes = vm.memory.bytes(FREE, 64 * PAGE);
  fc.assert(fc.property(list, (pages) => {
    // The drivers' own rings are the test's, not to be freed.
    const outside = 16 * MIB / PAGE;
    const chosen = pages.filter((pfn) => pfn >= first && pfn < first + 64 || pfn >= outside);
    bytes.fill(0xaa);
    give(vm, 0, pfns(...chosen));
    for (let page = 0; page < 64; page++) {
      const expected = chosen.includes(first + page) ? 0 : 0xaa;
      ok(bytes.subarray(page * PAGE, (page + 1) * PAGE).every((byte) => byte === expected));
    }
  }));
  ok(vm.guarded.intact);
});
