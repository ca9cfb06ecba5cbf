/** Configuration space and decoding, as a guest sees them through a bus. */
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
import { PciFunctionState } from "./bus.ts";
import { Command, Status } from "./configuration_space.ts";
import type { PciBar, PciFunction } from "./function.ts";

const COMMAND = 0x04;
const STATUS = 0x06;
const BAR0 = 0x10;
const ONES = 0xffff_ffff;

Deno.test("a function's state has the header's registers where the specification has them", () => {
  const { offsets, size } = PciFunctionState;
  const expected = {
    command: 0x04,
    status: 0x06,
    revision_id: 0x08,
    class_code: 0x09,
    header_type: 0x0e,
    base_address: 0x10,
    subsystem_vendor_id: 0x2c,
    subsystem_id: 0x2e,
    expansion_rom: 0x30,
    capabilities_pointer: 0x34,
    interrupt_line: 0x3c,
    interrupt_pin: 0x3d,
    capabilities: 0x40,
    msix_table: 0x100,
  };
  assert.deepEqual({ ...offsets, ...expected }, { ...offsets });
  assert.ok(size <= 4096);
});

Deno.test("a guest reads what a function is, and can't change it", () => {
  const { config } = onePciFunction({
    revision: 1,
    subsystemVendor: 0x1234,
    subsystem: 0x5678,
  });
  const identification = () => [0x00, 0x08, 0x0c, 0x2c, 0x30].map((at) => config.read(at));
  const expected = [0x1042_1af4, 0x0180_0001, 0, 0x5678_1234, 0];
  assert.deepEqual(identification(), expected);
  for (const at of [0x00, 0x08, 0x2c, 0x30]) config.write(at, 4, ONES);
  config.write(0x0e, 2, 0xffff);
  assert.deepEqual(identification(), expected);
  assert.equal(config.read(0x3d, 1), 1, "INTA");
  assert.equal(config.read(0x3c, 1), 17, "slot 1's GSI");
});

Deno.test("where no function is, everything reads as ones and takes writes", () => {
  const { bus } = onePciFunction();
  for (const address of [0x2 << 15, (1 << 15) | (1 << 12), 1 << 20, 255 * 2 ** 20 + 0xffffc]) {
    assert.equal(bus.readConfiguration(address, 4), ONES);
    assert.equal(bus.readConfiguration(address, 2), 0xffff);
    assert.equal(bus.readConfiguration(address, 1), 0xff);
    bus.writeConfiguration(address, 4, 0);
  }
});

Deno.test("there are no extended capabilities, and unknown registers read as 0", () => {
  const { config } = onePciFunction({ intx: false });
  for (let at = 0x100; at < 0x1000; at += 4) assert.equal(config.read(at), 0);
  config.write(0x100, 4, ONES);
  assert.equal(config.read(0x100), 0);
  assert.equal(config.read(0x34), 0, "no capabilities");
  assert.equal(config.read(STATUS, 2), 0);
  assert.equal(config.read(0x3c, 2), 0, "no interrupt pin");
});

Deno.test("an access over a function's end goes on in the next one", () => {
  const { bus } = onePciFunction();
  assert.equal(bus.readConfiguration(0xffe, 4), ONES);
  assert.equal(bus.readConfiguration((1 << 15) - 2, 4), 0x1af4_ffff);
  bus.writeConfiguration((1 << 15) + 0xffe, 4, 0);
});

Deno.test("the command register keeps the bits that mean something here, and no others", () => {
  const { config } = onePciFunction({ bars: [bar(0, "mem32", 4096)] });
  config.write(COMMAND, 2, 0xffff);
  assert.equal(
    config.read(COMMAND, 2),
    Command.MEMORY_SPACE | Command.BUS_MASTER | Command.PARITY_ERROR_RESPONSE |
      Command.SERR_ENABLE | Command.INTERRUPT_DISABLE,
  );
  config.write(STATUS, 2, 0xffff);
  assert.equal(config.read(STATUS, 2), 0);
});

Deno.test("a guest that writes ones to a BAR reads its size and kind", () => {
  const { config } = onePciFunction({
    bars: [
      bar(0, "mem32", 4096),
      { ...bar(1, "mem64", 2 ** 34), prefetchable: true },
      bar(3, "io", 32),
      bar(4, "mem64", 16),
    ],
  });
  for (let i = 0; i < 6; i++) config.write(BAR0 + 4 * i, 4, ONES);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 5].map((i) => config.read(BAR0 + 4 * i)),
    [0xffff_f000, 0x0000_000c, 0xffff_fffc, 0xffff_ffe1, 0xffff_fff4, 0xffff_ffff],
  );
  for (let at = BAR0; at < BAR0 + 24; at++) config.write(at, 1, 0);
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((i) => config.read(BAR0 + 4 * i)), [0, 12, 0, 1, 4, 0]);
});

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

Deno.test("capabilities are linked, each on a double word's boundary", () => {
  const { config } = onePciFunction({
    msix: { vectors: 3, bar: 1 },
    vendorCapabilities: [Uint8Array.of(5, 0xaa, 0xbb), Uint8Array.of(4, 0xcc)],
  });
  assert.equal(config.read(STATUS, 2), Status.CAPABILITIES_LIST);
  assert.equal(config.read(0x34, 1), 0x40);
  assert.equal(config.read(0x40), 0x0002_4c11, "MSI-X, the next at 0x4c, three vectors");
  assert.equal(config.read(0x44), 0x0000_0001, "the table, at 0 of BAR 1");
  assert.equal(config.read(0x48), 0x0000_0801, "pending bits, at 0x800 of BAR 1");
  assert.equal(config.read(0x4c), 0xaa05_5409);
  assert.equal(config.read(0x50), 0x0000_00bb);
  assert.equal(config.read(0x54), 0xcc04_0009, "the last");
});

Deno.test("a capability that is a window answers aligned accesses to its own bytes", () => {
  const log: string[] = [];
  const { config } = onePciFunction({
    vendorCapabilities: [Uint8Array.of(8, 1, 2, 3, 4, 5), Uint8Array.of(4, 9)],
    readCapability(capability, offset, width) {
      log.push(`r${width} ${capability}@${offset}`);
      return offset === 4 ? 0x1_2345_6789 : undefined;
    },
    writeCapability: (capability, offset, width, value) =>
      void log.push(`w${width} ${capability}@${offset}=${value.toString(16)}`),
  });
  const taken = () => log.splice(0).join(" ");
  assert.equal(config.read(0x44), 0x2345_6789);
  assert.equal(taken(), "r4 0@4");
  assert.equal(config.read(0x44, 1), 0x89, "no more bits than were asked for");
  assert.equal(config.read(0x46, 2), 0x0504);
  assert.equal(taken(), "r1 0@4 r2 0@6");
  assert.equal(config.read(0x40), 0x0108_4809, "an access with the ID in it sees the body");
  assert.equal(config.read(0x45, 2), 0x0403, "and so does one that is not aligned");
  assert.equal(taken(), "");
  config.write(0x44, 4, 0xdead);
  config.write(0x4a, 2, 1);
  config.write(0x40, 4, ONES);
  config.write(0x45, 2, ONES >>> 16);
  assert.equal(taken(), "w4 0@4=dead w2 1@2=1");
  assert.equal(config.read(0x40), 0x0108_4809);
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

const anyBar = (index: number) =>
  fc.oneof(
    fc.integer({ min: 2, max: 8 }).map((n) => bar(index, "io", 2 ** n)),
    fc.integer({ min: 4, max: 26 }).map((n) => bar(index, "mem32", 2 ** n)),
    fc.integer({ min: 4, max: 36 }).map((n) => bar(index, "mem64", 2 ** n)),
  );

/** Functions of all shapes: up to three BARs, MSI-X or not. */
const anyFunction = fc.record({
  bars: fc.tuple(anyBar(0), anyBar(2), anyBar(4)).chain((bars) => fc.subarray(bars)),
  vectors: fc.integer({ min: 0, max: 64 }),
}).map(({ bars, vectors }) => {
  const used = new Set(
    bars.flatMap((b) => b.kind === "mem64" ? [b.index, b.index + 1] : [b.index]),
  );
  const free = [1, 3, 5].find((index) => !used.has(index));
  return fakeFunction({
    bars,
    ...(vectors === 0 || free === undefined ? {} : { msix: { vectors, bar: free } }),
    vendorCapabilities: [new Uint8Array(14), new Uint8Array(18)],
  });
});

/** What a register of a BAR may read as: kind and address, no bit more. */
function assertBarsFit(config: Config, bars: readonly PciBar[]): void {
  for (const { index, kind, size } of bars) {
    const low = config.read(BAR0 + 4 * index);
    const flags = kind === "io" ? 0b1 : kind === "mem64" ? 0b100 : 0;
    const high = kind === "mem64" ? config.read(BAR0 + 4 * index + 4) : 0;
    assert.equal((BigInt(low) - BigInt(flags) + (BigInt(high) << 32n)) % BigInt(size), 0n);
  }
}

Deno.test("addresses at reset are aligned, in a window, and no two lie over one another", () => {
  fc.assert(
    fc.property(fc.array(anyFunction, { minLength: 1, maxLength: 31 }), (fns) => {
      const machine = new FakePciMachine();
      const bus = machine.thread();
      fns.forEach((fn, i) => machine.open(bus, i + 1, fn));
      fns.forEach((_, i) => bus.reset(i + 1));
      const spans: { from: number; to: number }[] = [];
      fns.forEach((fn, i) => {
        const config = new Config(bus, i + 1);
        assertBarsFit(config, fn.bars);
        for (const { index, kind, size } of fn.bars) {
          const low = config.read(BAR0 + 4 * index);
          const high = kind === "mem64" ? config.read(BAR0 + 4 * index + 4) : 0;
          const base = low - low % 16 + high * 2 ** 32;
          if (base === 0 || kind === "io") continue;
          const window = base < 2 ** 32 ? WINDOW : HIGH_WINDOW;
          assert.ok(base >= window.base && base + size <= window.base + window.size);
          spans.push({ from: base, to: base + size });
        }
      });
      spans.sort((a, b) => a.from - b.from);
      for (let i = 1; i < spans.length; i++) assert.ok(spans[i]!.from >= spans[i - 1]!.to);
    }),
    { numRuns: 60 },
  );
});

Deno.test("no sequence of configuration accesses throws, changes a constant, or outlives a reset", () => {
  const access = fc.record({
    slot: fc.integer({ min: 1, max: 4 }),
    register: fc.oneof(
      fc.nat(0x80),
      fc.constantFrom(4, 5, 6, 0x10, 0x14, 0x18, 0x20),
      fc.nat(4095),
    ),
    width: fc.constantFrom<Width>(1, 2, 4),
    value: fc.oneof(
      fc.nat(ONES),
      fc.constantFrom(0, ONES, 7, 0xc000_0000, 0xc000_1000, 0x8000_0000, 0xfee0_0000),
    ),
  });
  const random = fc.record({
    fns: fc.array(anyFunction, { minLength: 3, maxLength: 3 }),
    accesses: fc.array(access, { maxLength: 200, size: "max" }),
  });
  fc.assert(
    fc.property(random, ({ fns, accesses }) => {
      const machine = new FakePciMachine();
      const [bus, other] = [machine.thread(), machine.thread()];
      // What the functions were told, to be compared with what the bus finds.
      const bases = fns.map(() => new Map<number, number>());
      fns.forEach((fn, i) => {
        const decoded = (index: number, base: number | undefined) =>
          base === undefined ? bases[i]!.delete(index) : bases[i]!.set(index, base);
        for (const thread of [bus, other]) machine.open(thread, i + 1, { ...fn, decoded });
        bus.reset(i + 1);
        new Config(bus, i + 1).write(COMMAND, 2, 7);
      });
      for (const { slot, register, width, value } of accesses) {
        const config = new Config(bus, slot);
        config.write(register, width, value % 2 ** (8 * width));
        const read = config.read(register, width);
        assert.ok(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * width));
      }
      fns.forEach((fn, i) => {
        const config = new Config(bus, i + 1);
        assert.equal(config.read(0), 0x1042_1af4);
        assertBarsFit(config, fn.bars);
        for (const { index, kind, size } of fn.bars) {
          const base = bases[i]!.get(index);
          if (base === undefined) continue;
          const find = (at: number) => kind === "io" ? other.findPort(at) : other.findMemory(at);
          assert.ok(find(base) && find(base + size - 1));
        }
      });
      fns.forEach((_, i) => bus.reset(i + 1));
      for (const map of bases) assert.equal(map.size, 0);
      for (let gsi = 16; gsi < 24; gsi++) assert.equal(machine.level(gsi), false);
      assert.ok(machine.words.subarray(16).every((word) => word === 0), "a lock is held");
    }),
    { numRuns: 100 },
  );
});
