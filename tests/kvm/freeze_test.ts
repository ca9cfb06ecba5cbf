/** Machines that are frozen while their guests work devices as fast as they can. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { VmError } from "../../ffi/errors.ts";
import { Machine } from "../../vmm/machine.ts";
import type { FrozenMachine } from "../../vmm/standstill.ts";
import { flatDocument } from "../flat_machine.ts";
import { SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { Script, SCRIPT_MEMORY, scriptDocument } from "../script_guest.ts";
import { placeBars, prove } from "../script_virtio.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const FOR_EVER = 0xffff_ffff;
const DEADLINE = 180_000;
const PAGE = 4096;

/** Waits a turn of the event loop. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** A guest that resets every virtio device and has it answer a request, again and again. */
async function worker(entries: VirtioEntries, more: Record<string, unknown> = {}) {
  const devices = entries.all();
  const script = new Script();
  devices.forEach((_, i) => placeBars(script, i + 1));
  script.repeat(FOR_EVER, () => {
    prove(script, { mmio: 0 }, "rng", 0);
    devices.forEach(({ type }, i) => prove(script, { slot: i + 1 }, type, i + 1));
  });
  const all = [{ type: "serial" }, ...devices, { type: "rng", transport: "mmio" }];
  return await Machine.create(scriptDocument(script, all, more));
}

const reads = (machine: Machine) => machine.stats().disk0!.reads!;

/** Waits until the guest's disk has answered more requests. */
async function worksOnFrom(machine: Machine, seen: number): Promise<void> {
  const end = performance.now() + DEADLINE;
  while (reads(machine) === seen) {
    assert.ok(performance.now() < end, `The guest stopped at ${seen} reads`);
    assert.equal(machine.state, "running");
    await turn();
  }
}

/** All that a device or its guest could change: the script's memory and the devices' registers. */
function picture({ memory, devices }: FrozenMachine): Uint8Array {
  const { buffer, base } = memory.regions[0]!;
  const ram = new Uint8Array(buffer, SCRIPT_MEMORY.base - base, SCRIPT_MEMORY.size);
  const states = devices.devices.map(({ state }) =>
    new Uint8Array(state.buffer, state.byteOffset, state.byteLength)
  );
  const parts = [ram, ...states].map((bytes) => bytes.slice());
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  parts.reduce((at, bytes) => (all.set(bytes, at), at + bytes.length), 0);
  return all;
}

onKvm("nothing changes while a machine is frozen, and its guest goes on afterwards", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries, { ioThreads: 2 });
  machine.start();
  for (let round = 0; round < 10; round++) {
    await worksOnFrom(machine, reads(machine));
    const seen = await machine.freeze(async (frozen) => {
      const before = picture(frozen);
      for (const { device, name } of frozen.devices.devices) {
        assert.equal(device.inFlight?.() ?? 0, 0, name);
        assert.equal(device.resetting?.() ?? false, false, name);
      }
      for (let look = 0; look < 3; look++) {
        await turn();
        assert.equal(Buffer.compare(picture(frozen), before), 0);
      }
      return reads(machine);
    });
    await worksOnFrom(machine, seen);
  }
});

onKvm("a paused machine is frozen and stays paused, one freeze after the other", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  machine.start();
  await worksOnFrom(machine, 0);
  await machine.pause();
  const order: number[] = [];
  await Promise.all([1, 2, 3].map((number) =>
    machine.freeze(async () => {
      order.push(number);
      await turn();
      order.push(number);
    })
  ));
  assert.deepEqual(order, [1, 1, 2, 2, 3, 3]);
  assert.equal(machine.state, "paused");
  const seen = reads(machine);
  machine.resume();
  await worksOnFrom(machine, seen);
});

onKvm("what is asked of a frozen machine's devices is refused, or waits", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  machine.start();
  let sent = false;
  let typing: Promise<void> | undefined;
  await machine.freeze(async () => {
    assert.throws(() => machine.act("pm", "powerbutton"), VmError);
    typing = machine.console.send(Uint8Array.of(33), "serial0").then(() => void (sent = true));
    await turn();
    assert.equal(sent, false);
  });
  await typing;
  assert.equal(machine.act("serial0", "break"), true);
});

onKvm("a device comes while the machine is frozen", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  machine.start();
  await worksOnFrom(machine, 0);
  await machine.freeze(async () => {
    assert.equal(await machine.attach({ type: "rng", name: "late" }), "late");
  });
  await worksOnFrom(machine, reads(machine));
  assert.ok(machine.devices.some(({ name }) => name === "late"));
});

onKvm("a machine that is told to end while it is frozen ends", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  machine.start();
  await worksOnFrom(machine, 0);
  await machine.freeze(async () => {
    const { kind } = await machine.stop();
    assert.equal(kind, "killed");
  });
  await assert.rejects(machine.freeze(() => {}), VmError);
});

onKvm("a machine that was not started yet can be frozen", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  const names = await machine.freeze(({ devices }) => devices.devices.map(({ name }) => name));
  assert.ok(names.includes("disk0"));
  machine.start();
  await worksOnFrom(machine, 0);
});

onKvm("a page that a device wrote is in the log of writes", async () => {
  await using entries = new VirtioEntries();
  await using machine = await worker(entries);
  machine.start();
  await worksOnFrom(machine, 0);
  const { before, log } = await machine.freeze((frozen) => {
    machine.writeLog.start();
    return { before: frozen.memory.regions[0]!.buffer.slice(0), log: machine.writeLog };
  });
  // All that the guest's own list writes are rings and requests, which are the same each time.
  for (let round = 0; round < 5; round++) await worksOnFrom(machine, reads(machine));
  await machine.freeze(({ memory }) => {
    const [noted] = log.take();
    const was = Buffer.from(before);
    const now = Buffer.from(memory.regions[0]!.buffer);
    const isNoted = (page: number) => (noted![page >> 3]! & (1 << (page & 7))) !== 0;
    const rings = (page: number) => page * PAGE >= SCRIPT_MEMORY.base;
    let pages = 0;
    for (let page = 0; page < now.length / PAGE; page++) {
      const changed = was.compare(
        now,
        page * PAGE,
        (page + 1) * PAGE,
        page * PAGE,
        (page + 1) * PAGE,
      );
      if (isNoted(page)) pages++;
      else if (rings(page) && page * PAGE < SCRIPT_MEMORY.base + SCRIPT_MEMORY.size) {
        assert.equal(changed, 0, `page ${page} was written`);
      }
    }
    assert.ok(pages >= entries.all().length, `${pages} pages`);
  });
});

onKvm("a watchdog that its guest can't reload does not run out, paused or frozen", async () => {
  const timeout = 0.1;
  const devices = [{ type: "serial" }, { type: "watchdog", timeout, action: "reset" }];
  await using machine = await Machine.create(flatDocument(SPIN, {}, { devices, irqchip: true }));
  const late = () => new Promise<void>((resolve) => setTimeout(resolve, 2 * timeout * 1000));
  await late();
  machine.start({ paused: true });
  await late();
  await machine.freeze(late);
  assert.equal(machine.stopping, false);
  machine.resume();
  const { kind } = await machine.ended;
  assert.equal(kind, "reset");
});
