import assert from "node:assert/strict";
import { bar, onePciFunction } from "../../tests/fake_pci_bus.ts";
import { Command, PciFunctionState, Status } from "./configuration_space.ts";

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
