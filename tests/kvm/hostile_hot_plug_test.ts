/** Guests that abuse hot-plug, while devices come and go. */
import assert from "node:assert/strict";
import { Port } from "../../vmm/board.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { listing, SPIN } from "../guest_code.ts";
import { openFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { randomNumbers } from "../ring_mutator.ts";
import { Script, scriptDocument } from "../script_guest.ts";
import { barOf, ecam, prove } from "../script_virtio.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const DONE = 42;
const EJECT = Port.PCI_HOTPLUG + 8;
/** More than there are slots on the bus, or places in the arena. */
const ROUNDS = 210;

/** Lets every slot go, whatever is in it, for ever. Protected mode. */
const EJECT_ALL = listing(`
  66 ba 08 ae           mov dx, 0xae08
  b8 ff ff ff ff        mov eax, -1
  ef                    out dx, eax           ; again:
  eb fd                 jmp again
`);

/** What the process has open, and how many Workers it has. */
function held(): { files: string[]; workers: number } {
  const files = openFiles().filter((target) => !target.startsWith("socket:"));
  return { files, workers: threadNames().filter((name) => name.startsWith("worker-")).length };
}

/** Deno's own threads, which come and go, among them. */
function threadNames(): string[] {
  return [...Deno.readDirSync("/proc/self/task")].map(({ name }) => {
    try {
      return Deno.readTextFileSync(`/proc/self/task/${name}/comm`);
    } catch {
      return ""; // it has ended meanwhile
    }
  });
}

/** Resolves when a device is gone, whether the guest let it go before it was asked or afterwards. */
async function gone(machine: Machine, name: string): Promise<void> {
  await machine.detach(name).catch((error) => assert.match(error.message, /There is no device/));
  // Changes are made one after the other: when this is refused, those before it are complete.
  await assert.rejects(machine.attach({ type: "serial" }), /only a PCI device can come/);
}

/** A machine with a PCI bus and one device that is served, so that all its threads are there. */
function document(code: Uint8Array<ArrayBuffer>, cpus: number) {
  const devices = [{ type: "serial" }, { type: "rng", transport: "mmio" }];
  return flatDocument(code, { mode: "protected" }, { pci: true, cpus, devices });
}

for (const cpus of [1, 2]) {
  onKvm(
    `${ROUNDS} devices come to ${cpus} CPUs whose guest throws each out at once; nothing is lost`,
    async () => {
      await using entries = new VirtioEntries();
      await using machine = await Machine.create(document(EJECT_ALL, cpus));
      machine.start();
      let before: ReturnType<typeof held> | undefined;
      const kinds = entries.all().length;
      for (let round = 0; round < ROUNDS; round++) {
        await gone(machine, await machine.attach(entries.all()[round % kinds]!));
        if (round === kinds) before = held();
      }
      assert.deepEqual(held(), before);
      assert.deepEqual(machine.devices.filter(({ name }) => /rng|disk|net/.test(name)), [
        { type: "rng", name: "rng0" },
      ]);
      await machine.pause();
      machine.resume();
      assert.equal((await machine.stop()).kind, "killed");
    },
  );
}

onKvm(
  "devices that come at the same time, as their guest throws them out, take turns",
  async () => {
    await using entries = new VirtioEntries();
    await using machine = await Machine.create(document(EJECT_ALL, 2));
    machine.start();
    for (let round = 0; round < 5; round++) {
      const names = await Promise.all(
        [...entries.all(), ...entries.all()].map((entry) => machine.attach(entry)),
      );
      assert.equal(new Set(names).size, names.length, names.join(" "));
      await Promise.all(names.map((name) => gone(machine, name)));
    }
    assert.equal((await machine.stop()).kind, "killed");
  },
);

onKvm("a guest that never lets go keeps its devices, and the bus is full in the end", async () => {
  await using entries = new VirtioEntries();
  const before = openFiles().filter((target) => /hvsh test/.test(target));
  {
    await using machine = await Machine.create(document(SPIN, 1));
    machine.start();
    for (let slot = 1; slot < 32; slot++) await machine.attach({ type: "rng" });
    for (let i = 0; i < 50; i++) {
      await assert.rejects(machine.attach(entries.all()[i % 7]!), /31 slots .* are taken/);
    }
    const waiting = [1, 2, 3].map((i) => machine.detach(`rng${i}`));
    const outcomes = Promise.allSettled(waiting);
    await machine.stop();
    await machine[Symbol.asyncDispose]();
    for (const outcome of await outcomes) assert.equal(outcome.status, "rejected");
    await assert.rejects(machine.attach({ type: "rng" }), /ended/);
  }
  assert.deepEqual(openFiles().filter((target) => /hvsh test/.test(target)), before);
});

for (const seed of [3, 271_828]) {
  onKvm(
    `what a guest writes to hot-plug's registers harms no other device, seed ${seed}`,
    async () => {
      await using entries = new VirtioEntries();
      const random = randomNumbers(seed);
      const script = new Script();
      script.repeat(20, () => {
        for (let i = 0; i < 2000; i++) {
          const width = random.pick([1, 2, 4] as const);
          const port = Port.PCI_HOTPLUG + random.below(13) - width + 1;
          // Not at once: most devices stay for a while.
          const value = random.pick([0, 1, 2 ** 31, 1 << random.below(31), random.below(2 ** 32)]);
          if (port + width <= EJECT || random.below(64) === 0) script.out(width, port, value);
          script.in(width, port);
          script.read(width, ecam(random.below(32), random.below(0x100)));
          script.read(width, barOf(random.below(32)) + random.below(0x4000));
        }
      });
      prove(script, { mmio: 0 }, "rng", 0);
      script.exit(DONE);
      const devices = [{ type: "serial" }, { type: "rng", transport: "mmio" }];
      await using machine = await Machine.create(scriptDocument(script, devices, { pci: true }));
      machine.start();
      const abort = new AbortController();
      const ended = machine.ended.then(() => abort.abort());
      for (let i = 0; !abort.signal.aborted && !machine.stopping; i++) {
        try {
          const name = await machine.attach(entries.all()[i % 7]!);
          if (i % 2 === 0) machine.detach(name, abort.signal).catch(() => {});
        } catch (error) {
          assert.match((error as Error).message, /slots .* are taken|ended/);
          await Promise.race([ended, new Promise((turn) => setTimeout(turn, 0))]);
        }
      }
      const { kind, status } = await machine.ended;
      assert.deepEqual([kind, status], ["exit", DONE]);
    },
  );
}
