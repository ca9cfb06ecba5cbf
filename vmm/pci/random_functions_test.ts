/** Functions of any shape, under a guest that writes anything anywhere. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  bar,
  Config,
  fakeFunction,
  FakePciMachine,
  HIGH_WINDOW,
  WINDOW,
} from "../../tests/fake_pci_bus.ts";
import type { Width } from "../device.ts";
import type { PciBar } from "./function.ts";

const COMMAND = 0x04;
const BAR0 = 0x10;
const ONES = 0xffff_ffff;

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
