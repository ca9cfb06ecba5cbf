/** Where BARs are decoded, and functions that come and go. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bar,
  Config,
  fakeFunction,
  FakePciMachine,
  HIGH_WINDOW,
  onePciFunction,
  Scratch,
  WINDOW,
} from "../../tests/fake_pci_bus.ts";
import { Port } from "../board.ts";
import { Bus } from "../bus.ts";
import type { Width } from "../device.ts";
import { Command } from "./configuration_space.ts";
import type { PciFunction } from "./function.ts";

const COMMAND = 0x04;
const BAR0 = 0x10;
const ONES = 0xffff_ffff;

Deno.test("at reset BARs have addresses of their own, and nothing is decoded", () => {
  const { bus, config } = onePciFunction({
    bars: [bar(0, "mem32", 4096), bar(1, "mem64", 0x10_0000), bar(4, "io", 64)],
  });
  assert.equal(config.read(COMMAND, 2), 0);
  assert.equal(config.read(BAR0 + 4), WINDOW.base + 4, "the largest first");
  assert.equal(config.read(BAR0), WINDOW.base + 0x10_0000);
  assert.equal(config.read(BAR0 + 16), Port.PCI_WINDOW + 1);
  assert.equal(bus.findMemory(WINDOW.base), undefined);
  assert.equal(bus.findPort(Port.PCI_WINDOW), undefined);
});

Deno.test("a 64-bit BAR that finds no room below 4 GiB lies above it", () => {
  const { config } = onePciFunction({ bars: [bar(0, "mem64", 2 ** 33)] });
  assert.equal(config.read(BAR0), 4);
  assert.equal(config.read(BAR0 + 4), HIGH_WINDOW.base / 2 ** 32);
});

Deno.test("a BAR that there is no room for stays without an address", () => {
  const { bus, config } = onePciFunction({ bars: [bar(0, "mem32", 2 ** 30)] });
  assert.equal(config.read(BAR0), 0);
  config.write(COMMAND, 2, Command.MEMORY_SPACE);
  assert.equal(bus.findMemory(0), undefined);
});

Deno.test("what a guest sets up in one thread holds in the others", () => {
  const machine = new FakePciMachine();
  const fn = fakeFunction({ bars: [bar(0, "mem32", 4096)] });
  const [first, second] = [machine.thread(), machine.thread()];
  for (const bus of [first, second]) machine.open(bus, 3, fn);
  first.reset(3);
  const address = new Config(second, 3).read(BAR0);
  assert.equal(address, WINDOW.base);
  assert.equal(second.findMemory(address), undefined);
  new Config(first, 3).write(COMMAND, 2, Command.MEMORY_SPACE);
  assert.equal(second.findMemory(address)?.base, address);
  new Config(second, 3).write(BAR0, 4, address + 0x2000);
  assert.equal(first.findMemory(address), undefined);
  assert.equal(first.findMemory(address + 0x2fff)?.base, address + 0x2000);
});

Deno.test("a function is told of each address that a BAR gets and loses, under its lock", () => {
  const told: string[] = [];
  const decoded = (index: number, base: number | undefined) => {
    assert.equal(machine.words[machine.lock(1)], 1);
    told.push(`${index} ${base?.toString(16)}`);
  };
  const { machine, bus, config } = onePciFunction({
    bars: [bar(0, "mem32", 4096), bar(2, "io", 16)],
    msix: { vectors: 1, bar: 1 },
    decoded,
  });
  const taken = () => told.splice(0).join(", ");
  config.write(COMMAND, 2, Command.MEMORY_SPACE);
  assert.equal(taken(), "0 c0000000");
  config.write(COMMAND, 2, Command.MEMORY_SPACE | Command.IO_SPACE | Command.BUS_MASTER);
  assert.equal(taken(), "2 c000");
  config.write(BAR0, 4, WINDOW.base + 0x8000);
  assert.equal(taken(), "0 undefined, 0 c0008000", "the old one goes first");
  config.write(BAR0, 4, WINDOW.base + 0x8000);
  config.write(0x3c, 1, 5);
  assert.equal(taken(), "");
  config.write(BAR0, 4, 0xfee0_0000);
  assert.equal(taken(), "0 undefined", "outside of the windows nothing is decoded");
  config.write(COMMAND, 2, 0);
  assert.equal(taken(), "2 undefined");
  config.write(COMMAND, 2, Command.IO_SPACE);
  told.length = 0;
  machine.words[machine.lock(1)] = 1; // as whoever resets a device holds it
  bus.reset(1);
  assert.equal(taken(), "2 undefined");
});

Deno.test("BARs are not decoded where a port or an address belongs to the board", () => {
  const { bus, config } = onePciFunction({
    bars: [bar(0, "mem64", 4096), bar(2, "io", 16)],
  });
  config.write(COMMAND, 2, 3);
  for (const [low, high] of [[0, 0], [0xe000_0000, 0], [0xfec0_0000, 0], [0, 1], [0, ONES]]) {
    config.write(BAR0, 4, low!);
    config.write(BAR0 + 4, 4, high!);
    assert.equal(bus.findMemory(low! + high! * 2 ** 32), undefined);
  }
  for (const port of [0, 0x20, 0xcf8, 0x1_c000]) {
    config.write(BAR0 + 8, 4, port);
    assert.equal(bus.findPort(port), undefined);
  }
  config.write(BAR0 + 8, 4, 0xfff0);
  assert.equal(bus.findPort(0xffff)?.base, 0xfff0);
});

Deno.test("a BAR over another leaves it what it does not cover; the lower slot answers", () => {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  const fns = [0x1000, 0x4000].map((size) => fakeFunction({ bars: [bar(0, "mem32", size)] }));
  fns.forEach((fn, i) => machine.open(bus, i + 1, fn));
  for (const slot of [1, 2]) {
    bus.reset(slot);
    const config = new Config(bus, slot);
    config.write(BAR0, 4, slot === 1 ? WINDOW.base + 0x1000 : WINDOW.base);
    config.write(COMMAND, 2, Command.MEMORY_SPACE);
  }
  const owners = [0, 0xfff, 0x1000, 0x1fff, 0x2000, 0x3fff, 0x4000]
    .map((at) => bus.findMemory(WINDOW.base + at)?.owner);
  assert.deepEqual(owners, ["slot2", "slot2", "slot1", "slot1", "slot2", "slot2", undefined]);
});

Deno.test("a slot has one function, and is free again once that is detached", () => {
  const machine = new FakePciMachine();
  const bus = machine.thread();
  machine.open(bus, 5, fakeFunction({ bars: [bar(0, "mem32", 4096)] }));
  bus.reset(5);
  const config = new Config(bus, 5);
  config.write(COMMAND, 2, Command.MEMORY_SPACE);
  assert.ok(bus.findMemory(WINDOW.base));
  assert.throws(() => machine.open(bus, 5, fakeFunction()), /wants PCI slot 5: slot5 has it/);
  assert.throws(() => bus.open(32, "far", 0, machine.state(6)), /there are 0 to 31/);
  bus.detach(5);
  assert.equal(bus.findMemory(WINDOW.base), undefined);
  assert.equal(config.read(0), ONES);
  assert.equal(bus.present(5), false);
  machine.open(bus, 5, fakeFunction());
});

Deno.test("an ejected function is gone in every thread, for good", () => {
  const machine = new FakePciMachine();
  const [first, second] = [machine.thread(), machine.thread()];
  const told: unknown[] = [];
  const fn = fakeFunction({
    bars: [bar(0, "mem32", 4096)],
    decoded: (_index, base) => told.push(base),
  });
  const interrupts = machine.open(first, 1, fn);
  machine.open(second, 1, fn);
  first.reset(1);
  new Config(first, 1).write(COMMAND, 2, Command.MEMORY_SPACE);
  interrupts.setIntx(true);
  assert.ok(second.findMemory(WINDOW.base));
  second.eject(1);
  second.eject(1);
  assert.deepEqual(told, [WINDOW.base, undefined]);
  assert.equal(machine.level(17), false);
  for (const bus of [first, second]) {
    assert.equal(bus.present(1), false);
    assert.equal(bus.findMemory(WINDOW.base), undefined);
    assert.equal(new Config(bus, 1).read(0), ONES);
    bus.reset(1);
    assert.equal(new Config(bus, 1).read(0), ONES);
  }
});

Deno.test("functions that can't be are refused by name", () => {
  const refused: [Partial<PciFunction>, RegExp][] = [
    [{ bars: [bar(0, "mem32", 24)] }, /slot1: BAR 0 has 24 bytes, not a power of two/],
    [{ bars: [bar(0, "io", 512)] }, /from 4 to 256/],
    [{ bars: [bar(0, "mem32", 2 ** 32)] }, /BAR 0/],
    [{ bars: [bar(6, "mem32", 16)] }, /there is no BAR 6/],
    [{ bars: [bar(5, "mem64", 16)] }, /there is no BAR 6/],
    [{ bars: [bar(0, "mem64", 16), bar(1, "mem32", 16)] }, /BAR 1 is there twice/],
    [{ bars: [bar(1, "mem32", 16)], msix: { vectors: 1, bar: 1 } }, /BAR 1 is there twice/],
    [{ msix: { vectors: 65, bar: 1 } }, /wants 65 MSI-X vectors: it can have 1 to 64/],
    [{ msix: { vectors: 0, bar: 1 } }, /wants 0 MSI-X vectors/],
    [{ vendorCapabilities: [new Uint8Array(100), new Uint8Array(100)] }, /end at byte 270 of 256/],
  ];
  for (const [fn, message] of refused) {
    const machine = new FakePciMachine();
    assert.throws(() => machine.open(machine.thread(), 1, fakeFunction(fn)), message);
  }
});

Deno.test("what a function's code throws is said with its name, and its lock is free again", () => {
  const { machine, config, bus } = onePciFunction({
    bars: [bar(0, "mem32", 4096)],
    decoded() {
      throw new Error("broken");
    },
  });
  assert.throws(() => config.write(COMMAND, 2, 2), /^VmError: Device slot1: broken$/);
  assert.equal(machine.words[machine.lock(1)], 0);
  assert.throws(() => bus.eject(1), /^VmError: Device slot1: broken$/);
  assert.equal(machine.words[machine.lock(1)], 0);
});

Deno.test("behind a whole bus, BARs answer every width and place, and what is fixed comes first", () => {
  const { machine, bus: pci, config } = onePciFunction({
    bars: [bar(0, "mem32", 4096), { ...bar(1, "io", 8), maxWidth: 1 }],
  });
  config.write(COMMAND, 2, 3);
  const bus = new Bus(machine.words);
  bus.route(pci);
  const fixed = new Scratch(16);
  bus.attach("fixed", 40, [
    { space: "mmio", base: WINDOW.base + 0x100, size: 16, maxWidth: 4, handler: fixed },
  ]);
  const address = fc.nat(4096 + 16).map((at) => WINDOW.base - 8 + at);
  const port = fc.nat(24).map((at) => Port.PCI_WINDOW - 8 + at);
  fc.assert(fc.property(
    address,
    port,
    fc.constantFrom<Width>(1, 2, 4),
    fc.nat(ONES),
    (address, port, width, value) => {
      const cut = value % 2 ** (8 * width);
      bus.writeMemory(address, width, cut);
      const within = address >= WINDOW.base && address + width <= WINDOW.base + 4096;
      const read = bus.readMemory(address, width);
      assert.ok(read >= 0 && read < 2 ** (8 * width));
      if (within) assert.equal(read, cut);
      bus.writePort(port, width, cut);
      const readPort = bus.readPort(port, width);
      if (port >= Port.PCI_WINDOW && port + width <= Port.PCI_WINDOW + 8) {
        assert.equal(readPort, cut);
      }
    },
  ));
  fixed.log.length = 0;
  bus.readMemory(WINDOW.base + 0x104, 4);
  assert.deepEqual(fixed.log, ["r4@4"]);
});
