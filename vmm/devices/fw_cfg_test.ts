import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { Port } from "../board.ts";
import { fwCfg, type FwCfgConfig } from "./fw_cfg.ts";

const DATA = Port.FW_CFG + 1;
const RAM_SIZE = 0x10000;

function shared(...bytes: number[]): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

const config: FwCfgConfig = {
  items: [{ key: 5, data: shared(2, 0) }],
  files: [
    { name: "etc/one", data: shared(1, 2, 3, 4, 5) },
    { name: "etc/empty", data: shared() },
  ],
};

function open(contents: FwCfgConfig = config) {
  const machine = createDeviceContext(fwCfg, { memory: RAM_SIZE });
  const device = fwCfg.open(contents, machine.context);
  device.reset();
  const select = (key: number) => access(device, Port.FW_CFG, 2, key);
  const read = (count: number) => Array.from({ length: count }, () => access(device, DATA, 1));
  return { machine, device, select, read, memory: machine.context.memory };
}

type Opened = ReturnType<typeof open>;

/** Writes a control structure at 0x100, starts it, and gives the control word afterwards. */
function dma(
  { device, memory }: Opened,
  control: number,
  length: number,
  address: bigint,
  at = 0x100,
): number {
  const view = memory.view(at, 16);
  view.setUint32(0, control);
  view.setUint32(4, length);
  view.setBigUint64(8, address);
  startDma(device, BigInt(at));
  return view.getUint32(0);
}

function startDma(device: Opened["device"], at: bigint) {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, at);
  access(device, Port.FW_CFG_DMA, 4, bytes.getUint32(0, true));
  access(device, Port.FW_CFG_DMA + 4, 4, bytes.getUint32(4, true));
}

Deno.test("the signature is read after reset, and DMA is offered", () => {
  const { select, read } = open();
  assert.deepEqual(read(6), [0x51, 0x45, 0x4d, 0x55, 0, 0]);
  select(1);
  assert.deepEqual(read(4), [3, 0, 0, 0]);
});

Deno.test("an item is read byte by byte, then as zeros; selecting starts again", () => {
  const { select, read } = open();
  select(5);
  assert.deepEqual(read(4), [2, 0, 0, 0]);
  select(0x4005);
  assert.deepEqual(read(1), [2], "the old write channel bit makes no difference");
  select(0x1234);
  assert.deepEqual(read(2), [0, 0], "an item that is not there is empty");
});

Deno.test("the directory names each file with its size and number, big-endian", () => {
  const { select, read } = open();
  select(0x19);
  assert.deepEqual(read(4), [0, 0, 0, 2]);
  const entry = read(64);
  assert.deepEqual(entry.slice(0, 8), [0, 0, 0, 5, 0, 0x20, 0, 0]);
  assert.equal(String.fromCharCode(...entry.slice(8, 16)), "etc/one\0");
  assert.deepEqual(read(64).slice(0, 8), [0, 0, 0, 0, 0, 0x21, 0, 0]);
  select(0x20);
  assert.deepEqual(read(6), [1, 2, 3, 4, 5, 0]);
});

Deno.test("file names that the directory can't hold are refused", () => {
  for (const names of [[""], ["x".repeat(56)], ["ä"], ["a", "a"]]) {
    const files = names.map((name) => ({ name, data: shared() }));
    assert.throws(() => open({ items: [], files }), DocumentError);
  }
});

Deno.test("the DMA register reads as its signature", () => {
  const { device } = open();
  const bytes = Array.from({ length: 8 }, (_, i) => access(device, Port.FW_CFG_DMA + i, 1));
  assert.equal(String.fromCharCode(...bytes), "QEMU CFG");
  assert.equal(access(device, Port.FW_CFG_DMA, 4), 0x554d_4551);
});

Deno.test("DMA selects, reads and fills the rest with zeros", () => {
  const fw = open();
  fw.memory.bytes(0x200, 8).fill(0xff);
  assert.equal(dma(fw, 0x20 << 16 | 8 | 2, 7, 0x200n), 0);
  assert.equal(fw.memory.read(0x200, 8).toHex(), "01020304050000ff");
});

Deno.test("DMA skips, and goes on where the data port left off", () => {
  const fw = open();
  fw.select(0x20);
  fw.read(1);
  assert.equal(dma(fw, 4, 2, 0n), 0);
  assert.equal(dma(fw, 2, 1, 0x200n), 0);
  assert.equal(fw.memory.bytes(0x200, 1)[0], 4);
  assert.deepEqual(fw.read(1), [5]);
});

Deno.test("a 64-bit write of the DMA address starts it too", () => {
  const { device, memory } = open();
  memory.view(0x100, 4).setUint32(0, 0x20 << 16 | 8 | 2);
  memory.view(0x104, 4).setUint32(0, 5);
  memory.view(0x108, 8).setBigUint64(0, 0x300n);
  access(device, Port.FW_CFG_DMA, 8, 0x0001 * 2 ** 48); // 0x100, big-endian
  assert.equal(memory.read(0x300, 5).toHex(), "0102030405");
});

Deno.test("no item can be written", () => {
  const fw = open();
  assert.equal(dma(fw, 0x20 << 16 | 8 | 16, 5, 0x200n), 1);
  fw.select(0x20);
  assert.deepEqual(fw.read(1), [1]);
});

Deno.test("a skip of 4 GiB ends at the item's end", () => {
  const fw = open();
  assert.equal(dma(fw, 0x20 << 16 | 8 | 4, 0xffff_ffff, 0n), 0);
  assert.deepEqual(fw.read(1), [0]);
});

Deno.test("a read into what is no RAM sets the error bit and changes nothing", () => {
  const fw = open();
  fw.memory.bytes(RAM_SIZE - 4, 4).fill(0xee);
  const targets: [bigint, number][] = [
    [BigInt(RAM_SIZE), 1],
    [BigInt(RAM_SIZE - 4), 5],
    [0n, 0xffff_ffff],
    [0xffff_ffff_ffff_fffcn, 16],
    [0x8000_0000_0000_0000n, 1],
    [BigInt(2 ** 53), 1],
  ];
  for (const [address, length] of targets) {
    assert.equal(dma(fw, 0x20 << 16 | 8 | 2, length, address), 1, address.toString(16));
  }
  assert.equal(fw.memory.read(RAM_SIZE - 4, 4).toHex(), "eeeeeeee");
  assert.equal(
    dma(fw, 0x20 << 16 | 8 | 2, 4, BigInt(RAM_SIZE - 4)),
    0,
    "ending at RAM's end is legal",
  );
});

Deno.test("a control structure outside RAM is ignored", () => {
  const { device, read } = open();
  for (const at of [RAM_SIZE - 15, RAM_SIZE, 2 ** 32]) startDma(device, BigInt(at));
  startDma(device, 0xffff_ffff_ffff_fff8n);
  assert.deepEqual(read(1), [0x51]);
});

Deno.test("a transfer onto its own control structure ends with the outcome written", () => {
  const fw = open();
  assert.equal(dma(fw, 0x20 << 16 | 8 | 2, 16, 0x100n), 0);
  assert.equal(fw.memory.read(0x104, 4).toHex(), "05000000");
});

Deno.test("any control word with any length and address leaves the device at work", () => {
  const fw = open();
  const words = [fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), fc.bigInt(0n, 2n ** 64n - 1n)] as const;
  fc.assert(fc.property(...words, (control, length, address) => {
    const after = dma(fw, control, length, address);
    assert.ok(after <= 1 || (address < 0x110n && address + BigInt(length) > 0x100n));
    fw.select(0x20);
    assert.deepEqual(fw.read(2), [1, 2]);
  }));
});

Deno.test("every port at every width, aligned or not, reads and takes any value", () => {
  const { device, select, read } = open();
  const port = fc.integer({ min: Port.FW_CFG - 8, max: Port.FW_CFG_DMA + 9 });
  fc.assert(
    fc.property(port, fc.constantFrom(1, 2, 4, 8), fc.nat(2 ** 32 - 1), (port, width, value) => {
      access(device, port, width, value % 2 ** (8 * width));
      access(device, port, width);
      select(5);
      assert.deepEqual(read(2), [2, 0]);
    }),
  );
});
