/** Streams that lie about their machine: refused by the record's name, or taken, and nothing is left open. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError, HostError, HvshError, VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { Machine } from "../../vmm/machine.ts";
import { loadStream, type StreamSource } from "../../vmm/state/load_stream.ts";
import type { LoadOptions } from "../../vmm/state/stream_loading.ts";
import { saveMachine } from "../../vmm/state/machine_state.ts";
import { ownMemory } from "../../vmm/state/own_memory.ts";
import { stateRecords, writeMemory, writeRecords } from "../../vmm/state/save_stream.ts";
import { StreamReader } from "../../vmm/state/stream_reader.ts";
import { type StreamSink, StreamWriter } from "../../vmm/state/stream_writer.ts";
import { parseDocument } from "../../vmm/document.ts";
import { type CountingGuest, countingGuest } from "../counting_lines.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

/** A machine takes half a second to make where the CPU is emulated. */
const RUNS = Deno.env.get("HVSH_EMULATED_HOST") === "1" ? 20 : 150;

type JsonObject = { [key: string]: Json };
type Record = readonly [name: string, content: Uint8Array<ArrayBuffer>];

const encoder = new TextEncoder();

class Kept implements StreamSink {
  readonly parts: Uint8Array[] = [];
  write(pieces: readonly Uint8Array[]): void {
    this.parts.push(...pieces.map((piece) => piece.slice()));
  }
}

/** Takes a machine's records before it has run. */
async function recordsOf(guest: CountingGuest): Promise<Record[]> {
  await using machine = await Machine.create(parseDocument(countingGuest(guest, "vm"), "a test"));
  return await machine.freeze(async (frozen) => {
    const snapshot = saveMachine(machine, frozen);
    const { machine: first, state } = stateRecords(snapshot);
    const sink = new Kept();
    const writer = new StreamWriter(sink);
    await writeRecords(writer, first);
    await writeMemory(writer, snapshot.regions, ownMemory(frozen.memory));
    await writeRecords(writer, state);
    await writer.end();
    return taken(sink);
  });
}

/** A stream's records. */
function taken({ parts }: Kept): Record[] {
  const records: Record[] = [];
  const reader = new StreamReader({
    memory(name, size) {
      records.push([name, new Uint8Array(size)]);
      return records.at(-1)![1];
    },
    record: (...record) => void records.push(record),
  });
  for (const part of parts) reader.push(part);
  reader.close();
  return records;
}

/** A stream of records. */
async function streamOf(records: readonly Record[]): Promise<StreamSource> {
  const sink = new Kept();
  const writer = new StreamWriter(sink);
  for (const [name, content] of records) await writer.record(name, content);
  await writer.end();
  let [part, at] = [0, 0];
  return {
    read(into) {
      const bytes = sink.parts[part];
      if (bytes === undefined) return 0;
      const count = Math.min(into.length, bytes.length - at);
      into.set(bytes.subarray(at, at + count));
      at += count;
      if (at === bytes.length) [part, at] = [part + 1, 0];
      return count;
    },
  };
}

async function load(records: readonly Record[], options: LoadOptions = {}): Promise<void> {
  await using _machine = await loadStream(await streamOf(records), options);
}

/** Changes a record of JSON. */
function changed(
  records: readonly Record[],
  name: string,
  // deno-lint-ignore no-explicit-any -- any record at all
  change: (json: any) => Json | void,
): Record[] {
  assert.ok(records.some(([own]) => own === name), name);
  return records.map(([own, content]) => {
    if (own !== name) return [own, content];
    const json = JSON.parse(new TextDecoder().decode(content)) as Json;
    return [own, encoder.encode(JSON.stringify(change(json) ?? json))];
  });
}

/** Looks that records are refused, and that nothing is left of their machine. */
async function refused(
  records: readonly Record[],
  says: RegExp,
  kinds: readonly (new (...args: never[]) => HvshError)[] = [DocumentError],
): Promise<void> {
  const open = openVmFiles();
  await assert.rejects(load(records), (error: Error) => {
    assert.ok(kinds.some((kind) => error instanceof kind), `${says}: ${error.stack}`);
    assert.match(error.message, says);
    assert.ok(error.message.length < 400);
    return true;
  }, `${says}`);
  assert.deepEqual(openVmFiles(), open);
}

const json = (name: string, value: Json): Record => [name, encoder.encode(JSON.stringify(value))];

onKvm("a machine's own records make one like it", async () => {
  for (const guest of ["lines", "two", "ticks", "ring3"] as const) {
    const open = openVmFiles();
    await load(await recordsOf(guest));
    assert.deepEqual(openVmFiles(), open);
  }
});

onKvm("records in the wrong place, or that are not there, are refused by their names", async () => {
  const records = await recordsOf("two");
  const at = (name: string) => records.find(([own]) => own === name)!;
  const without = (name: string) => records.filter(([own]) => own !== name);
  const memory = records.find(([name]) => name.startsWith("mem/"))!;
  const cases: [Record[], RegExp][] = [
    [[], /^The stream has no vm\.json/],
    [[...without("vm.json"), at("vm.json")], /^mem\/ram0\/0x[0-9a-f]+ comes before vm\.json/],
    [[at("board.json"), ...records], /^board\.json comes before vm\.json/],
    [[at("vm.json"), ...records], /^vm\.json is there twice/],
    [without("cpu/0.json"), /^The stream has no cpu\/0\.json/],
    [without("cpu/1.json"), /^The stream has no cpu\/1\.json/],
    [without("board.json"), /^The stream has no board\.json/],
    [[...records, ["mem/ram1/0x0000000000", memory[1]]], /^mem\/ram1\/0x0{10} is of no region/],
    [
      [...records, ["mem/ram0/0x0000400000", memory[1]]],
      /^mem\/ram0\/0x0000400000 has 65536 bytes, past/,
    ],
    [
      [...records, ["mem/ram0/0x00003f0001", memory[1]]],
      /^mem\/ram0\/0x00003f0001 has 65536 bytes, past/,
    ],
    [[...records, ["mem/ram0/0xffffffffffffffff", memory[1]]], /^mem\/ram0\/0xf+ is of no region/],
    [[...records, ["mem/ram0/-1", memory[1]]], /^mem\/ram0\/-1 is of no region/],
    [[...records, ["mem/ram0", memory[1]]], /^mem\/ram0 is of no region/],
  ];
  for (const [list, says] of cases) await refused(list, says);
  // What a later version might add, a device that the machine has not, a piece of memory of any size.
  await load([
    ...records,
    ["later/a.bin", memory[1]],
    json("dev/later0.json", { name: "later0", type: "later" }),
    ["mem/ram0/0x0000000007", new Uint8Array(3)],
    ["mem/ram0/0x0000400000", new Uint8Array(0)],
    json("cpu/200.json", "nonsense"),
  ]);
});

onKvm("a first record that can't be is refused by its key", async () => {
  const records = await recordsOf("lines");
  const region = { name: "ram0", base: 0, size: 4096, ram: true, readonly: false };
  const memory = (...regions: Json[]) => (vm: { state: JsonObject }) => {
    vm.state.memory = regions;
  };
  // deno-lint-ignore no-explicit-any -- any record at all
  const cases: [(vm: any) => Json | void, RegExp][] = [
    [() => [], /^vm\.json, the record: is no object/],
    [() => "x", /^vm\.json, the record: is no object/],
    [(vm) => void delete vm.state, /^vm\.json, state: is no object/],
    [(vm) => void (vm.state.version = 0), /^vm\.json: the stream has version 0, not 1/],
    [(vm) => void (vm.state.version = 2), /^vm\.json: the stream has version 2, not 1/],
    [(vm) => void (vm.state.version = "1"), /^vm\.json: the stream has version "1", not 1/],
    [(vm) => void (vm.state.version = "x".repeat(10 ** 6)), /^vm\.json: the stream has version "x/],
    [(vm) => void (vm.vm = 2), /vm\.json: "vm" is 2, not 1/],
    [(vm) => void (vm.cpus = 300), /vm\.json, cpus: /],
    [(vm) => void (vm.cpus = 0), /vm\.json, cpus: /],
    [(vm) => void (vm.cpus = 1.5), /vm\.json, cpus: /],
    [(vm) => void (vm.name = "../../etc"), /vm\.json, name: is not a name/],
    [(vm) => void (vm.devices[0].name = "a/b"), /vm\.json, devices\.0\.name: /],
    [(vm) => void (vm.devices = [{ type: "no-such" }]), /No device is of type "no-such"/],
    [(vm) => void vm.devices.push({ type: "fw_cfg" }), /fw_cfg is made with what it hands out/],
    [(vm) => void vm.devices.push(vm.devices[0]), /two devices are named|is there twice/],
    [memory(), /./],
    [memory({ ...region, size: 0 }), /^memory ram0: size 0 is not a multiple of 4096/],
    [memory({ ...region, size: 4097 }), /^memory ram0: size 4097 is not a multiple of 4096/],
    [memory({ ...region, base: 5 }), /memory ram0: base 0x5 is not a multiple of 4096/],
    [memory({ ...region, base: 2 ** 53 - 4096 }), /beyond the \d+ bits of this host/],
    [memory(region, { ...region, name: "ram1" }), /memory ram1: .* overlaps the region at 0x0/],
    [
      memory({ ...region, size: 8192 }, { ...region, name: "ram1", base: 4096 }),
      /memory ram1: .* overlaps/,
    ],
    [memory({ ...region, shared: { path: "/proc/kmsg", offset: 0 } }), /\/proc\/kmsg/],
    [
      memory({ ...region, shared: { path: "/dev/zero", offset: 0 } }),
      /\/dev\/zero is no plain file/,
    ],
    [memory({ ...region, shared: { path: "/", offset: 0 } }), /^\/: open: .*EISDIR/],
    [memory({ ...region, shared: { path: "/no/such", offset: 0 } }), /^\/no\/such: open: .*ENOENT/],
  ];
  for (const [change, says] of cases) {
    await refused(changed(records, "vm.json", change), says, [DocumentError, HostError, VmError]);
  }
  await refused(
    changed(records, "vm.json", memory({ ...region, size: 2 ** 40 })),
    /^vm\.json, state\.memory: with ram0 it is 1T, more than this host has/,
    [VmError],
  );
  for (const size of [2 ** 50, 2 ** 52]) {
    await refused(
      changed(records, "vm.json", memory({ ...region, size })).filter(([name]) =>
        !name.startsWith("mem/")
      ),
      /./,
      [DocumentError, HostError, VmError],
    );
  }
});

onKvm("states that no CPU or controller has are refused by the record and the key", async () => {
  const records = await recordsOf("ticks");
  // deno-lint-ignore no-explicit-any -- any record at all
  const cases: [string, (json: any) => Json | void, RegExp][] = [
    ["cpu/0.json", (cpu) => void delete cpu.cpuid, /^cpu\/0\.json, cpuid: is no array/],
    [
      "cpu/0.json",
      (cpu) => void (cpu.sregs.cr0 = "0x80000000"),
      /^cpu\/0\.json, sregs: KVM_SET_SREGS/,
    ],
    ["cpu/0.json", (cpu) => void (cpu.xcrs.nr_xcrs = 0xffff_ffff), /^cpu\/0\.json, xcrs: /],
    [
      "cpu/0.json",
      (cpu) => void (cpu.mp_state.mp_state = 99),
      /^cpu\/0\.json, mp_state: KVM_SET_MP/,
    ],
    ["cpu/0.json", (cpu) => void (cpu.debugregs.flags = "0x1"), /^cpu\/0\.json, debugregs: /],
    ["board.json", (board) => void delete board.ioapic, /^board\.json has no "ioapic"/],
    ["board.json", (board) => void (board.pit.channels = []), /^board\.json, pit: /],
    ["dev/rtc.json", () => [], /^dev\/rtc\.json, the record: is no object/],
    ["dev/rtc.json", (rtc) => void (rtc.type = "pm"), /^Device rtc: type is "pm"/],
    ["dev/serial0.json", (serial) => void (serial.state = 5), /^Device serial0: is no object/],
  ];
  for (const [name, change, says] of cases) await refused(changed(records, name, change), says);
  // A name in a record is not what it is called by.
  await load(changed(records, "dev/rtc.json", (rtc) => void (rtc.name = "../../x")));
});

onKvm("features that this host's CPU lacks are named, and forced", async () => {
  const records = await recordsOf("lines");
  const wanting = changed(records, "cpu/0.json", ({ cpuid }) => {
    for (const leaf of cpuid) if (leaf.leaf === "0x7") leaf.ecx = "0xffffffff";
  });
  const bits = JSON.parse(
    new TextDecoder().decode(wanting.find(([name]) => name === "cpu/0.json")![1]),
  );
  assert.ok(bits.cpuid.some(({ leaf }: { leaf: string }) => leaf === "0x7"));
  await refused(wanting, /^cpu\/0\.json: this host's CPU lacks \S/, [VmError]);
  await load(wanting, { force: true });
});

/** Paths of everything in a record that is no object or array. */
function leaves(json: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof json !== "object" || json === null) return [path];
  return Object.entries(json).flatMap(([key, value]) => leaves(value, [...path, key]));
}

onKvm(
  "whatever stands in place of a value, a machine is made and runs, or it is refused",
  async () => {
    const records = await recordsOf("ticks");
    const names = records.map(([name]) => name).filter((name) => name.endsWith(".json"));
    const parsed = new Map(
      records.filter(([name]) => names.includes(name)).map(([name, content]) => [
        name,
        leaves(JSON.parse(new TextDecoder().decode(content))),
      ]),
    );
    const values = fc.oneof(
      fc.constantFrom<Json>(
        null,
        -1,
        0.5,
        2 ** 31,
        2 ** 53,
        1e308,
        "",
        "0x",
        "0xffffffffffffffff",
        [],
        {},
      ),
      fc.integer({ min: 0, max: 0xffff }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => `0x${n.toString(16)}`),
    );
    const place = fc.constantFrom(...names).chain((name) =>
      fc.tuple(fc.constant(name), fc.constantFrom(...parsed.get(name)!))
    );
    const open = openVmFiles();
    await fc.assert(
      fc.asyncProperty(place, values, async ([name, path], value) => {
        const edited = changed(records, name, (json) => {
          // deno-lint-ignore no-explicit-any -- any record at all
          let at: any = json;
          for (const key of path.slice(0, -1)) at = at[key];
          at[path.at(-1)!] = value;
        });
        try {
          await using machine = await loadStream(await streamOf(edited));
          machine.start();
          await machine.freeze(() => {});
          await machine.stop();
        } catch (error) {
          assert.ok(
            error instanceof HvshError,
            `${name} ${path} ${value}: ${(error as Error).stack}`,
          );
        }
      }),
      { numRuns: RUNS },
    );
    assert.deepEqual(openVmFiles(), open);
  },
);
