import assert from "node:assert/strict";
import { DocumentError, GuestError } from "../../ffi/errors.ts";
import { Acpi, Address, Irq, Port } from "../board.ts";
import { GuestMemory } from "../guest_memory.ts";
import { type AcpiBoard, buildAcpiTables, writeAcpiTables } from "./acpi.ts";
import { acpiLoaderFiles } from "./acpi_loader.ts";
import { Header, Rsdp } from "./acpi_tables.ts";
import { eisaId, string } from "./aml.ts";
import { Fadt } from "./fadt.ts";

const devices = {
  serialPorts: [{ port: 0x3f8, irq: 4 }, { port: 0x2f8, irq: 3 }],
  i8042: true,
  rtc: true,
  pvpanic: true,
  fwCfg: true,
};
const bare = { serialPorts: [], i8042: false, rtc: false, pvpanic: false, fwCfg: false };
const pci = {
  ecam: 0xe000_0000,
  buses: 16,
  windows: [{ base: 0xc000_0000, size: 0x2000_0000 }, { base: 0x100_0000_0000, size: 2 ** 32 }],
};

function memory(size = 0x10_0000): GuestMemory {
  return new GuestMemory([{ base: 0, buffer: new ArrayBuffer(size), ram: true }]);
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => (total + byte) & 0xff, 0);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function includes(haystack: Uint8Array, needle: Uint8Array): boolean {
  return haystack.toHex().includes(needle.toHex());
}

/** Walks from the RSDP as a guest does, checking each checksum; tables by signature. */
function walk(ram: GuestMemory, rsdpAddress: number): Map<string, Uint8Array<ArrayBuffer>> {
  const pointer = new Rsdp(ram.view(rsdpAddress, Rsdp.size));
  assert.equal(text(pointer.signature), "RSD PTR ");
  assert.equal(pointer.revision, 2);
  assert.equal(sum(pointer.bytes().subarray(0, 20)), 0);
  assert.equal(sum(pointer.bytes()), 0);
  const tables = new Map<string, Uint8Array<ArrayBuffer>>();
  const add = (address: number) => {
    const { length } = new Header(ram.view(address, Header.size));
    const bytes = ram.bytes(address, length);
    const signature = text(bytes.subarray(0, 4));
    assert.equal(sum(bytes), 0, `${signature} has a wrong checksum`);
    tables.set(signature, bytes);
    return bytes;
  };
  const xsdt = add(pointer.xsdt_address);
  const rsdt = add(pointer.rsdt_address);
  const long = new DataView(xsdt.buffer, xsdt.byteOffset + Header.size, xsdt.length - Header.size);
  const short = new DataView(rsdt.buffer, rsdt.byteOffset + Header.size, rsdt.length - Header.size);
  assert.equal(long.byteLength, short.byteLength * 2);
  for (let i = 0; i < long.byteLength / 8; i++) {
    const address = Number(long.getBigUint64(i * 8, true));
    assert.equal(short.getUint32(i * 4, true), address);
    add(address);
  }
  const fadt = fadtOf(tables);
  assert.equal(fadt.x_dsdt, fadt.dsdt);
  add(fadt.dsdt);
  assert.equal(fadt.firmware_ctrl % 64, 0);
  tables.set("FACS", ram.bytes(fadt.firmware_ctrl, 64));
  return tables;
}

function fadtOf(tables: Map<string, Uint8Array<ArrayBuffer>>) {
  const bytes = tables.get("FACP")!;
  return new Fadt(new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
}

function write(board: AcpiBoard): Map<string, Uint8Array<ArrayBuffer>> {
  const ram = memory();
  const at = writeAcpiTables(ram, board);
  assert.equal(at, Address.BIOS);
  return walk(ram, at);
}

Deno.test("a guest that walks from the RSDP finds every table, with right checksums", () => {
  const tables = write({ cpus: 2, devices });
  assert.deepEqual([...tables.keys()].sort(), ["APIC", "DSDT", "FACP", "FACS", "RSDT", "XSDT"]);
  assert.equal(tables.get("FACP")!.length, 276);
  assert.equal(text(tables.get("FACS")!.subarray(0, 4)), "FACS");
});

Deno.test("FADT tells where the board's PM device answers, and how to reset", () => {
  const fadt = fadtOf(write({ cpus: 1, devices }));
  assert.equal(fadt.header.revision, 6);
  assert.equal(fadt.smi_cmd, 0);
  assert.equal(fadt.sci_int, Irq.SCI);
  const blocks = [
    [fadt.pm1a_evt_blk, fadt.pm1_evt_len, fadt.x_pm1a_evt_blk, Port.PM],
    [fadt.pm1a_cnt_blk, fadt.pm1_cnt_len, fadt.x_pm1a_cnt_blk, Port.PM + 4],
    [fadt.pm_tmr_blk, fadt.pm_tmr_len, fadt.x_pm_tmr_blk, Port.PM + 8],
    [fadt.gpe0_blk, fadt.gpe0_blk_len, fadt.x_gpe0_blk, Port.GPE0],
  ] as const;
  for (const [block, length, register, port] of blocks) {
    assert.equal(block, port);
    assert.equal(register.address, port);
    assert.equal(register.space_id, 1);
    assert.equal(register.bit_width, length * 8);
  }
  assert.equal(fadt.reset_reg.address, Port.RESET);
  assert.equal(fadt.reset_value, Acpi.RESET_VALUE);
  const flag = (bit: number) => (fadt.flags >>> bit) & 1;
  assert.equal(flag(4), 0, "the power button is a fixed one");
  assert.equal(flag(8), 1, "the timer has 32 bits");
  assert.equal(flag(10), 1, "the reset register is there");
  assert.equal(flag(20), 0, "hardware is not reduced");
});

Deno.test("FADT's boot flags say what legacy parts there are", () => {
  assert.equal(fadtOf(write({ cpus: 1, devices })).iapc_boot_arch, 0b000111);
  assert.equal(fadtOf(write({ cpus: 1, devices: bare })).iapc_boot_arch, 0b100100);
});

Deno.test("MADT lists each processor, the I/O APIC and the overrides", () => {
  const madt = write({ cpus: 3, devices }).get("APIC")!;
  const entries: Uint8Array[] = [];
  for (let at = Header.size + 8; at < madt.length; at += madt[at + 1]!) {
    entries.push(madt.subarray(at, at + madt[at + 1]!));
  }
  const ofType = (type: number) => entries.filter((entry) => entry[0] === type);
  assert.deepEqual(ofType(0).map((entry) => [entry[2], entry[3], entry[4]]), [
    [0, 0, 1],
    [1, 1, 1],
    [2, 2, 1],
  ]);
  assert.equal(ofType(1)[0]!.toHex(), "010c00000000c0fe00000000");
  assert.deepEqual(ofType(2).map((entry) => entry.toHex()), [
    "020a0000020000000000",
    "020a0009090000000d00",
  ]);
  assert.equal(ofType(4)[0]!.toHex(), "0406ff000001");
});

Deno.test("processors with APIC IDs above 254 have x2APIC entries", () => {
  const madt = write({ cpus: 300, devices }).get("APIC")!;
  const first = Header.size + 8 + 255 * 8;
  assert.equal(madt.subarray(first, first + 16).toHex(), "09100000ff00000001000000ff000000");
});

Deno.test("DSDT names the devices that are there, and no others", () => {
  const full = write({ cpus: 2, devices }).get("DSDT")!;
  const empty = write({ cpus: 2, devices: bare }).get("DSDT")!;
  const s5 = "085c5f53355f1208040a050a050000";
  for (const dsdt of [full, empty]) {
    assert.equal(dsdt[8], 2, "integers have 64 bits");
    assert.ok(dsdt.toHex().includes(s5));
    assert.ok(includes(dsdt, string("ACPI0007")));
    assert.ok(!includes(dsdt, eisaId("PNP0A08")));
  }
  const terms = ["PNP0501", "PNP0303", "PNP0B00"].map(eisaId);
  for (const term of [...terms, string("QEMU0001"), string("QEMU0002")]) {
    assert.ok(includes(full, term));
    assert.ok(!includes(empty, term));
  }
});

Deno.test("with PCI there are MCFG, a host bridge, and a claim on the configuration space", () => {
  const tables = write({ cpus: 1, devices, pci });
  const mcfg = tables.get("MCFG")!.subarray(Header.size + 8);
  assert.equal(mcfg.toHex(), "000000e000000000" + "0000" + "00" + "0f" + "00000000");
  for (const id of ["PNP0A08", "PNP0A03", "PNP0C02"]) {
    assert.ok(includes(tables.get("DSDT")!, eisaId(id)));
  }
});

Deno.test("only a board with a watchdog has WDAT", () => {
  assert.ok(write({ cpus: 1, devices, pci, watchdog: true }).has("WDAT"));
  assert.ok(!write({ cpus: 1, devices }).has("WDAT"));
});

Deno.test("tables that have no room are refused", () => {
  assert.throws(() => writeAcpiTables(memory(), { cpus: 4096, devices }), DocumentError);
  assert.throws(() => writeAcpiTables(memory(0xe_0000), { cpus: 1, devices }), GuestError);
});

Deno.test("firmware that runs the loader script ends with the tables we would write", () => {
  const board = { cpus: 2, devices, pci };
  const files = new Map(acpiLoaderFiles(board).map(({ name, data }) => [name, data]));
  const bases = new Map([["etc/acpi/tables", 0x8_0040], ["etc/acpi/rsdp", 0xf_5a30]]);
  const script = files.get("etc/table-loader")!;
  assert.equal(script.length % 128, 0);
  for (let at = 0; at < script.length; at += 128) runLoaderEntry(script.subarray(at), files, bases);

  const ram = memory();
  for (const [name, base] of bases) ram.write(base, files.get(name)!);
  assert.equal(walk(ram, 0xf_5a30).size, 7);
  assert.deepEqual(files.get("etc/acpi/tables"), buildAcpiTables(board, 0x8_0040).bytes);
});

/** What SeaBIOS does with one entry of the script. */
function runLoaderEntry(
  entry: Uint8Array<ArrayBuffer>,
  files: Map<string, Uint8Array<ArrayBuffer>>,
  bases: Map<string, number>,
) {
  const view = new DataView(entry.buffer, entry.byteOffset, 128);
  const nameAt = (at: number) => text(entry.subarray(at, at + 56)).replaceAll("\0", "");
  const file = files.get(nameAt(4))!;
  switch (view.getUint32(0, true)) {
    case 1:
      assert.equal(bases.get(nameAt(4))! % view.getUint32(60, true), 0);
      break;
    case 2: {
      const offset = view.getUint32(116, true);
      const target = new DataView(file.buffer, offset, entry[120]!);
      const value = target.getUint32(0, true) + bases.get(nameAt(60))!;
      target.setUint32(0, value, true);
      break;
    }
    case 3: {
      const start = view.getUint32(64, true);
      const range = file.subarray(start, start + view.getUint32(68, true));
      const at = view.getUint32(60, true);
      file[at] = file[at]! - sum(range);
      break;
    }
    default:
      assert.fail("the script has a command of no known kind");
  }
}
