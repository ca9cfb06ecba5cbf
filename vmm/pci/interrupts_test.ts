/** MSI-X and INTA of a function, and lines that slots share. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bar,
  Config,
  fakeFunction,
  FakePciMachine,
  onePciFunction,
  WINDOW,
} from "../../tests/fake_pci_bus.ts";
import { Bus } from "../bus.ts";
import type { Width } from "../device.ts";
import { Command, Status } from "./configuration_space.ts";
import type { PciInterrupts } from "./function.ts";

const COMMAND = 0x04;
const STATUS = 0x06;
const CONTROL = 0x42;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;
const PBA = 0x800;
const MASKED = 1;

/** A function with MSI-X switched on and its table within reach, every vector masked. */
function withMsix(vectors: number) {
  const one = onePciFunction({ msix: { vectors, bar: 1 } });
  one.config.write(COMMAND, 2, Command.MEMORY_SPACE | Command.BUS_MASTER);
  one.config.write(CONTROL, 2, ENABLE);
  const bus = new Bus(one.machine.words);
  bus.route(one.bus);
  const memory = {
    read: (at: number, width: Width = 4) => bus.readMemory(WINDOW.base + at, width),
    write: (at: number, value: number, width: Width = 4) =>
      bus.writeMemory(WINDOW.base + at, width, value),
  };
  const set = (vector: number, control: number) => {
    memory.write(16 * vector, 0xfee0_1000);
    memory.write(16 * vector + 8, 0x40 + vector);
    memory.write(16 * vector + 12, control);
  };
  const sent = () => one.machine.messages.splice(0);
  return { ...one, memory, set, sent };
}

Deno.test("the table is masked at reset, and keeps what is written but for reserved bits", () => {
  const { memory } = withMsix(2);
  assert.equal(memory.read(12), MASKED);
  for (let at = 0; at < 16; at += 4) memory.write(16 + at, 0xffff_ffff);
  assert.deepEqual(
    [16, 20, 24, 28].map((at) => memory.read(at)),
    [0xffff_fffc, 0xffff_ffff, 0xffff_ffff, MASKED],
  );
});

Deno.test("an unmasked vector sends its own message", () => {
  const { interrupts, set, sent, memory } = withMsix(4);
  assert.equal(interrupts.msixEnabled, true);
  set(3, 0);
  memory.write(3 * 16 + 4, 0x12);
  interrupts.signal(3);
  interrupts.signal(3);
  assert.deepEqual(sent(), ["fee01000 12 43", "fee01000 12 43"]);
});

Deno.test("a masked vector is pending until it is unmasked, and is then sent once", () => {
  const { interrupts, set, sent, memory } = withMsix(64);
  for (const vector of [0, 33]) {
    set(vector, MASKED);
    interrupts.signal(vector);
    interrupts.signal(vector);
    assert.deepEqual(sent(), []);
    assert.equal(memory.read(PBA + 4 * (vector >> 5)), 1 << (vector & 31));
    memory.write(16 * vector + 12, 0);
    assert.deepEqual(sent(), [`fee01000 0 ${(0x40 + vector).toString(16)}`]);
    assert.equal(memory.read(PBA + 4 * (vector >> 5)), 0);
  }
});

Deno.test("the function's mask holds every vector back, and lets go of what is pending", () => {
  const { interrupts, set, sent, config } = withMsix(3);
  set(0, 0);
  set(1, 0);
  set(2, MASKED);
  config.write(CONTROL, 2, ENABLE | FUNCTION_MASK);
  for (const vector of [2, 1, 0]) interrupts.signal(vector);
  assert.deepEqual(sent(), []);
  config.write(CONTROL, 2, ENABLE);
  assert.deepEqual(sent(), ["fee01000 0 40", "fee01000 0 41"]);
});

Deno.test("nothing is sent while MSI-X is off, or for vectors that there aren't", () => {
  const { interrupts, set, sent, config, memory } = withMsix(2);
  set(0, 0);
  for (const vector of [2, 63, 64, 0xffff, -1, NaN, 2 ** 40]) interrupts.signal(vector);
  config.write(CONTROL, 2, 0);
  assert.equal(interrupts.msixEnabled, false);
  interrupts.signal(0);
  config.write(CONTROL, 2, ENABLE);
  assert.deepEqual(sent(), []);
  assert.equal(memory.read(PBA), 0);
});

Deno.test("nothing is sent while bus mastering is off, and once it is on what was to be", () => {
  const { interrupts, set, sent, config, memory } = withMsix(2);
  set(0, 0);
  config.write(COMMAND, 2, Command.MEMORY_SPACE);
  interrupts.signal(0);
  interrupts.signal(0);
  assert.deepEqual(sent(), []);
  assert.equal(memory.read(PBA), 1);
  config.write(COMMAND, 2, Command.MEMORY_SPACE | Command.BUS_MASTER);
  assert.deepEqual(sent(), ["fee01000 0 40"]);
  assert.equal(memory.read(PBA), 0);
});

Deno.test("a message that is pending while bus mastering is off goes when it is on", () => {
  const { interrupts, set, sent, config, memory } = withMsix(1);
  set(0, MASKED);
  interrupts.signal(0);
  config.write(COMMAND, 2, Command.MEMORY_SPACE);
  memory.write(12, 0);
  assert.deepEqual(sent(), []);
  config.write(COMMAND, 2, Command.MEMORY_SPACE | Command.BUS_MASTER);
  assert.deepEqual(sent(), ["fee01000 0 40"]);
});

Deno.test("message control keeps enable and mask, the table's size is fixed", () => {
  const { config } = withMsix(5);
  config.write(CONTROL, 2, 0xffff);
  assert.equal(config.read(CONTROL, 2), ENABLE | FUNCTION_MASK | 4);
  config.write(CONTROL - 2, 4, 0);
  assert.equal(config.read(CONTROL, 2), 4);
  config.write(0x44, 4, 0xffff_ffff);
  assert.equal(config.read(0x44), 1);
});

Deno.test("the pending bits can't be written, and what is behind the table reads as 0", () => {
  const { memory, interrupts, set } = withMsix(2);
  set(1, MASKED);
  interrupts.signal(1);
  for (let at = 2 * 16; at < 4096; at += 4) memory.write(at, 0xffff_ffff);
  for (let at = 2 * 16; at < 4096; at += 4) assert.equal(memory.read(at), at === PBA ? 0b10 : 0);
});

Deno.test("the table is the same at every width and place, and no access to it throws", () => {
  const { machine, memory, interrupts } = withMsix(64);
  const access = fc.record({
    at: fc.oneof(fc.nat(64), fc.nat(4095), fc.integer({ min: PBA - 4, max: PBA + 12 })),
    width: fc.constantFrom<Width>(1, 2, 4),
    value: fc.nat(0xffff_ffff),
    vector: fc.nat(70),
  });
  fc.assert(
    fc.property(access, ({ at, width, value, vector }) => {
      interrupts.signal(vector);
      memory.write(at, value % 2 ** (8 * width), width);
      const whole = memory.read(at, width);
      const end = Math.min(at + width, 4096);
      for (let i = at; i < end; i++) {
        assert.equal(memory.read(i, 1), Math.floor(whole / 2 ** (8 * (i - at))) % 256);
      }
      machine.messages.length = 0;
    }),
    { numRuns: 500 },
  );
});

Deno.test("a reset forgets table and pending bits", () => {
  const { bus, config, interrupts, memory, set, sent } = withMsix(1);
  set(0, MASKED);
  interrupts.signal(0);
  bus.reset(1);
  assert.equal(interrupts.msixEnabled, false);
  config.write(COMMAND, 2, Command.MEMORY_SPACE | Command.BUS_MASTER);
  config.write(CONTROL, 2, ENABLE);
  assert.deepEqual([0, 4, 8, 12, PBA].map((at) => memory.read(at)), [0, 0, 0, MASKED, 0]);
  assert.deepEqual(sent(), []);
});

Deno.test("without MSI-X nothing is sent, whatever its place in configuration space holds", () => {
  const { interrupts, machine, config } = onePciFunction({
    vendorCapabilities: [Uint8Array.of(0xff, 0xff)],
  });
  config.write(COMMAND, 2, Command.BUS_MASTER);
  assert.equal(interrupts.msixEnabled, false);
  interrupts.signal(0);
  assert.deepEqual(machine.messages, []);
});

Deno.test("INTA follows the device, the disable bit and MSI-X; the status bit the device alone", () => {
  const { interrupts, machine, config } = onePciFunction({ msix: { vectors: 1, bar: 1 } });
  const status = () => (config.read(STATUS, 2) & Status.INTERRUPT) !== 0;
  const seen = () => [machine.level(17), status()];
  interrupts.setIntx(true);
  assert.deepEqual(seen(), [true, true]);
  config.write(COMMAND, 2, Command.INTERRUPT_DISABLE);
  assert.deepEqual(seen(), [false, true]);
  config.write(COMMAND, 2, 0);
  assert.deepEqual(seen(), [true, true]);
  config.write(CONTROL, 2, ENABLE);
  assert.deepEqual(seen(), [false, true]);
  interrupts.setIntx(false);
  config.write(CONTROL, 2, 0);
  assert.deepEqual(seen(), [false, false]);
  assert.equal(machine.lines.length, 4, "only changes are driven");
});

Deno.test("a reset drops INTA", () => {
  const { interrupts, machine, bus } = onePciFunction();
  interrupts.setIntx(true);
  bus.reset(1);
  assert.equal(machine.level(17), false);
  interrupts.setIntx(true);
  assert.equal(machine.level(17), true);
});

Deno.test("a line that slots share is high while any of them asks", () => {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  const [a, b, c] = [7, 15, 31].map((slot) => {
    const interrupts = machine.open(bus, slot, fakeFunction());
    bus.reset(slot);
    return interrupts;
  }) as [PciInterrupts, PciInterrupts, PciInterrupts];
  c.setIntx(true);
  a.setIntx(true);
  c.setIntx(false);
  b.setIntx(true);
  a.setIntx(false);
  assert.deepEqual(machine.lines, [[23, true]]);
  b.setIntx(false);
  assert.deepEqual(machine.lines, [[23, true], [23, false]]);
});

Deno.test("a line that one thread raises just as another drops it ends high, and the other way", () => {
  for (const last of [true, false]) {
    const machine = new FakePciMachine();
    const [here, there] = [machine.thread(), machine.thread()];
    const open = (slot: number) => {
      machine.open(there, slot, fakeFunction());
      const interrupts = machine.open(here, slot, fakeFunction());
      here.reset(slot);
      return interrupts;
    };
    const [a, b] = [open(1), open(9)];
    if (last) a.setIntx(true);
    // The other thread comes between this one's look at the word and its driving of the line.
    machine.beforeLine = () => {
      machine.beforeLine = undefined;
      b.setIntx(true);
      if (!last) {
        b.setIntx(false);
        a.setIntx(false);
      }
    };
    a.setIntx(!last);
    assert.equal(machine.level(17), last);
  }
});

Deno.test("each slot has the line that its number gives", () => {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  for (let slot = 0; slot < 32; slot++) {
    const interrupts = machine.open(bus, slot, fakeFunction({ bars: [bar(0, "io", 4)] }));
    bus.reset(slot);
    assert.equal(new Config(bus, slot).read(0x3c, 1), 16 + slot % 8);
    interrupts.setIntx(true);
    interrupts.setIntx(false);
    assert.deepEqual(machine.lines.splice(0), [[16 + slot % 8, true], [16 + slot % 8, false]]);
  }
});
