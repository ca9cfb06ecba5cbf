/** Devices that go on in another machine, from records that may have been edited. */
import assert from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { Acpi, Address } from "../../vmm/board.ts";
import { type FrozenMachine, Machine } from "../../vmm/machine.ts";
import { restoreDevices, saveDevices } from "../../vmm/state/device_state.ts";
import { Structure } from "../../vmm/virtio/pci_capabilities.ts";
import { BlkFeature } from "../../vmm/virtio/disk/protocol.ts";
import { onKvm } from "../on_kvm.ts";
import { randomNumbers } from "../ring_mutator.ts";
import { Script, SCRIPT_MEMORY, scriptDocument } from "../script_guest.ts";
import { barOf, placeBars, prove, startPci } from "../script_virtio.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const FOR_EVER = 0xffff_ffff;
const DEADLINE = 180_000;
const DISK = 2;
/** A word of memory that says that all is done. */
const DONE = SCRIPT_MEMORY.base + 0xf000;

const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** A machine's state without its devices' backends. */
interface Taken {
  readonly records: Map<string, Json>;
  readonly memory: Uint8Array[];
  readonly regs: Uint8Array;
  readonly sregs: Uint8Array;
}

/** A guest that works every virtio device for ever; with `resets` it begins each round by a reset. */
function documentOf(entries: VirtioEntries, resets: boolean): VmDocument {
  const devices = entries.all();
  const script = new Script();
  devices.forEach((_, i) => placeBars(script, i + 1));
  if (resets) {
    script.repeat(FOR_EVER, () => {
      prove(script, { mmio: 0 }, "rng", 0);
      devices.forEach(({ type }, i) => prove(script, { slot: i + 1 }, type, i + 1));
    });
  } else {
    readOnOneQueue(script);
  }
  const all = [{ type: "serial" }, ...devices, { type: "rng", transport: "mmio" }];
  return scriptDocument(script, all);
}

/** A guest that has worked every virtio device once and leaves them as they are. */
function workedOnce(entries: VirtioEntries): VmDocument {
  const devices = entries.all();
  const script = new Script();
  devices.forEach((_, i) => placeBars(script, i + 1));
  devices.forEach(({ type }, i) => prove(script, { slot: i + 1 }, type, i + 1));
  prove(script, { mmio: 0 }, "rng", 0);
  script.write(2, DONE, 1);
  script.until(DONE, 0);
  const all = [{ type: "serial" }, ...devices, { type: "rng", transport: "mmio" }];
  return scriptDocument(script, all);
}

/** Sector 0 again and again, the available ring's index going on from request to request. */
function readOnOneQueue(script: Script): void {
  prove(script, { slot: DISK }, "disk", DISK);
  const desc = SCRIPT_MEMORY.base + DISK * 0x1000;
  const ring = (idx: number) => {
    script.write(2, desc + 0x100 + 2, idx);
    script.write(2, barOf(DISK) + Structure.NOTIFY, 0);
    script.until(desc + 0x200 + 2, idx);
  };
  script.repeat(FOR_EVER, () => {
    for (let idx = 2; idx <= 400; idx++) ring(idx);
    startPci(script, DISK, 0, DISK);
    ring(1);
  });
}

async function take(machine: Machine): Promise<Taken> {
  return await machine.freeze((frozen) => ({
    records: recordsOf(saveDevices(frozen)),
    memory: frozen.memory.regions.map(({ buffer }) => new Uint8Array(buffer).slice()),
    regs: frozen.vcpus[0]!.getRegs().bytes().slice(),
    sregs: frozen.vcpus[0]!.getSregs().bytes().slice(),
  }));
}

/** As a stream has them. */
function recordsOf(records: Json | readonly Json[]): Map<string, Json> {
  const parsed = JSON.parse(JSON.stringify(records)) as { name: string }[];
  return new Map(parsed.map((record) => [record.name, record as unknown as Json]));
}

async function put(machine: Machine, taken: Taken): Promise<void> {
  await machine.freeze((frozen) => {
    frozen.memory.regions.forEach(({ buffer }, i) => new Uint8Array(buffer).set(taken.memory[i]!));
    restoreDevices(frozen, taken.records);
    const [vcpu] = frozen.vcpus;
    const regs = vcpu!.getRegs();
    regs.bytes().set(taken.regs);
    const sregs = vcpu!.getSregs();
    sregs.bytes().set(taken.sregs);
    vcpu!.setSregs(sregs);
    vcpu!.setRegs(regs);
  });
}

const reads = (machine: Machine) => machine.stats().disk0!.reads!;

async function worksOnFrom(machine: Machine, seen: number): Promise<void> {
  const end = performance.now() + DEADLINE;
  while (reads(machine) <= seen) {
    assert.ok(performance.now() < end, `The guest stopped at ${seen} reads`);
    assert.equal(machine.state, "running");
    await turn();
  }
}

async function isDone(machine: Machine): Promise<void> {
  const end = performance.now() + DEADLINE;
  const done = ({ memory }: FrozenMachine) =>
    new DataView(memory.regions[0]!.buffer).getUint16(DONE, true) === 1;
  while (!await machine.freeze(done)) {
    assert.ok(performance.now() < end, "The guest is not done");
    await turn();
  }
}

for (const resets of [true, false]) {
  const how = resets ? "resets its devices" : "goes on in one queue";
  onKvm(`a guest that ${how} is carried from machine to machine`, async () => {
    await using entries = new VirtioEntries();
    const document = documentOf(entries, resets);
    let taken: Taken | undefined;
    for (let machines = 0; machines < 4; machines++) {
      await using machine = await Machine.create(document);
      if (taken !== undefined) await put(machine, taken);
      const before = reads(machine);
      machine.start();
      await worksOnFrom(machine, before + (resets ? 1 : 1000));
      taken = await take(machine);
      assert.equal((taken.records.get("disk0") as { type: string }).type, "disk");
    }
  });
}

/** Edits a record by a path of keys. */
function edit(records: Map<string, Json>, device: string, path: (string | number)[], value: Json) {
  // deno-lint-ignore no-explicit-any -- any record at all
  let at: any = records.get(device);
  for (const key of path.slice(0, -1)) at = at[key];
  at[path.at(-1)!] = value;
}

const REFUSED: readonly [device: string, path: (string | number)[], value: Json, says: RegExp][] = [
  ["disk0", ["type"], "net", /^Device disk0: type is "net"/],
  ["disk0", ["slot"], 9, /^Device disk0: slot is 9/],
  ["disk0", ["state", "capacity"], 2 ** 40, /^Device disk0: state.capacity/],
  ["disk0", ["state", "capacity"], -1, /^Device disk0: state.capacity/],
  ["disk0", ["state", "capacity"], "1", /^Device disk0: state.capacity/],
  ["disk0", ["state"], [], /^Device disk0: is no object/],
  ["disk0", ["transport", "status"], 0x30, /^Device disk0: transport.status/],
  [
    "disk0",
    ["transport", "driver_features_low"],
    0xffff_ffff,
    /^Device disk0: transport.driver_fea/,
  ],
  ["disk0", ["transport", "isr"], 8, /^Device disk0: transport.isr/],
  ["disk0", ["queues", 0, "size"], 3, /^Device disk0: queues\[0\]: its size is 3/],
  ["disk0", ["queues", 0, "size"], 0x8000, /^Device disk0: queues\[0\]: its size/],
  ["disk0", ["queues", 0, "desc_high"], 0xffff, /^Device disk0: queues\[0\]: its descriptor table/],
  ["disk0", ["queues", 0, "desc_low"], 1, /^Device disk0: queues\[0\]: its descriptor table/],
  ["disk0", ["queues", 0, "last_avail_idx"], 0x1_0000, /^Device disk0: queues\[0\].last_avail_idx/],
  ["disk0", ["queues", 0, "enabled"], 2, /^Device disk0: queues\[0\].enabled/],
  ["disk0", ["queues"], new Array(65).fill({}), /^Device disk0: queues/],
  ["disk0", ["pci", "command"], 0x1_0000, /^Device disk0: pci.command/],
  ["disk0", ["pci", "msix_table", 0, "message_data"], -1, /^Device disk0: pci.msix_table\[0\]/],
  ["net0", ["state", "pairs"], 0, /^Device net0: state.pairs/],
  ["net0", ["state", "pairs"], 7, /^Device net0: state.pairs/],
  ["net0", ["state", "mac"], "none", /^Device net0: state.mac/],
  ["balloon0", ["state", "num_pages"], 0xffff_ffff, /^Device balloon0: state.num_pages/],
  ["rtc", ["state", "clock_offset"], "NaN", /^Device rtc: state.clock_offset/],
  ["rtc", ["state", "next_periodic"], 1e300, /^Device rtc: state.next_periodic/],
];

onKvm("a record that can't be is refused, by its device's name and its field", async () => {
  await using entries = new VirtioEntries();
  const document = workedOnce(entries); // what is refused of a device depends on how far its driver is
  let taken: Taken;
  {
    await using machine = await Machine.create(document);
    machine.start();
    await isDone(machine);
    taken = await take(machine);
  }
  for (const [device, path, value, says] of REFUSED) {
    const records = structuredClone(taken.records);
    assert.ok(records.has(device), device);
    edit(records, device, path, value);
    await using machine = await Machine.create(document);
    await assert.rejects(put(machine, { ...taken, records }), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  }
});

onKvm("a driver that chose what a disk offers no more goes on with it", async () => {
  await using entries = new VirtioEntries();
  const document = workedOnce(entries);
  let taken: Taken;
  {
    await using machine = await Machine.create(document);
    machine.start();
    await isDone(machine);
    taken = await take(machine);
  }
  const path = ["transport", "driver_features_low"];
  edit(taken.records, "disk0", path, 1 << BlkFeature.SIZE_MAX);
  await using machine = await Machine.create(document);
  await put(machine, taken);
  const again = await take(machine);
  const { transport } = again.records.get("disk0") as { transport: Record<string, Json> };
  assert.equal(transport.driver_features_low, 1 << BlkFeature.SIZE_MAX);
});

onKvm("a record may say more or less than there is", async () => {
  await using entries = new VirtioEntries();
  const document = documentOf(entries, true);
  await using machine = await Machine.create(document);
  const mac = "52:54:00:ab:cd:ef";
  await machine.freeze((frozen) => {
    const records = recordsOf(saveDevices(frozen));
    edit(records, "net0", ["state", "mac"], mac);
    edit(records, "net0", ["state", "later"], { version: 2 });
    edit(records, "net0", ["transport", "later"], null);
    edit(records, "net0", ["later"], [1]);
    records.set("disk0", { type: "disk", slot: DISK });
    records.delete("balloon0");
    restoreDevices(frozen, records);
    const net = saveDevices(frozen).find(({ name }) => name === "net0")!;
    assert.equal((net.state as { mac: string }).mac, mac);
    assert.ok(!("later" in net));
  });
  machine.start();
  await worksOnFrom(machine, 0);
});

/** Paths of everything in a record that is no object or array. */
function leaves(json: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof json !== "object" || json === null) return [path];
  return Object.entries(json).flatMap(([key, value]) => leaves(value, [...path, key]));
}

onKvm(
  "whatever a record says, a machine refuses it or takes it, and the host is none the worse",
  async () => {
    await using entries = new VirtioEntries();
    const document = documentOf(entries, true);
    let taken: Taken;
    {
      await using machine = await Machine.create(document);
      machine.start();
      await worksOnFrom(machine, 1);
      taken = await take(machine);
    }
    const random = randomNumbers(5);
    const values = () =>
      random.pick<Json>([
        0,
        1,
        2,
        -1,
        0xff,
        0xffff,
        0xffff_ffff,
        random.below(2 ** 32),
        2 ** 53,
        null,
      ]);
    for (let round = 0; round < 12; round++) {
      await using machine = await Machine.create(document);
      for (const [name, record] of taken.records) {
        for (let edits = 0; edits < 20; edits++) {
          const mutated = structuredClone(record);
          for (let i = random.below(3); i >= 0; i--) {
            edit(new Map([[name, mutated]]), name, random.pick(leaves(mutated)), values());
          }
          try {
            await machine.freeze((frozen) => restoreDevices(frozen, new Map([[name, mutated]])));
          } catch (error) {
            assert.ok(error instanceof DocumentError, (error as Error).stack);
          }
        }
      }
      machine.start();
      for (let turns = 0; turns < 20; turns++) await turn();
      await machine.freeze(saveDevices);
      assert.equal((await machine.stop()).kind, "killed");
    }
  },
);

onKvm(
  "a machine that goes on from another's state has a generation ID of its own, and says so",
  async () => {
    await using entries = new VirtioEntries();
    const document = documentOf(entries, true);
    const withId = { ...document, devices: [...document.devices!, { type: "vmgenid" }] };
    const idIn = ({ memory }: FrozenMachine) => memory.read(Address.VM_GENERATION_ID, 16).toHex();
    const event = 1 << Acpi.GENERATION_GPE;
    const status = (records: readonly Json[]) =>
      (recordsOf(records).get("pm") as { state: { gpe0_status: number } }).state.gpe0_status &
      event;
    const ids: string[] = [];
    let taken: Taken | undefined;
    for (let machines = 0; machines < 3; machines++) {
      await using machine = await Machine.create(withId);
      if (taken !== undefined) {
        await put(machine, taken);
        ids.push(await machine.freeze(idIn));
      }
      const before = reads(machine);
      machine.start();
      await worksOnFrom(machine, before);
      const end = performance.now() + DEADLINE;
      while (taken !== undefined && status(await machine.freeze(saveDevices)) === 0) {
        assert.ok(performance.now() < end, "the event does not come");
        await turn();
      }
      taken = await take(machine);
    }
    assert.equal(new Set(ids).size, 2);
  },
);
