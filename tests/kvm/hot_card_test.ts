/** Cards that users wrote, as they come and go: what is left of them, and what they have meanwhile. */
import assert from "node:assert/strict";
import { Port } from "../../vmm/board.ts";
import type { DeviceEvent } from "../../vmm/device.ts";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

const DEADLINE = 60_000;
const CARD = { type: "module", module: new URL("./hot_card.ts", import.meta.url).href };

/** Lets every slot go, whatever is in it, for ever. Protected mode. */
const EJECT_ALL = listing(`
  66 ba 08 ae           mov dx, 0xae08
  b8 ff ff ff ff        mov eax, -1
  ef                    out dx, eax           ; again:
  eb fd                 jmp again
`);

function open(code = SPIN, more: Record<string, unknown> = {}): Promise<Machine> {
  assert.equal(Port.PCI_HOTPLUG, 0xae00);
  const devices = [{ type: "serial" }];
  return Machine.create(flatDocument(code, { mode: "protected" }, { pci: true, devices, ...more }));
}

/** The next event of a kind, within some seconds. */
async function next(machine: Machine, kind: string): Promise<DeviceEvent> {
  const { promise, resolve, reject } = Promise.withResolvers<DeviceEvent>();
  const stop = machine.listen((_device, event) => {
    if (event.kind === kind) resolve(event);
  });
  const timer = setTimeout(() => reject(new Error(`There was no event ${kind}`)), DEADLINE);
  try {
    return await promise;
  } finally {
    stop();
    clearTimeout(timer);
  }
}

/** Resolves when a device that the guest throws out by itself is gone. */
async function gone(machine: Machine, name: string): Promise<void> {
  await machine.detach(name).catch((error) => assert.match(error.message, /There is no device/));
  await assert.rejects(machine.attach({ type: "serial" }), /only a PCI device can come/);
}

onKvm("a card that fails to open leaves its slot to the next one, in every thread", async () => {
  await using machine = await open(SPIN, { cpus: 2 });
  machine.start();
  for (const mistake of ["open", "nothing"]) {
    await assert.rejects(
      machine.attach({ ...CARD, mistake }),
      mistake === "open" ? /the card is broken/ : /Device module0: .*"pci"/,
    );
    assert.equal(
      await machine.attach({ type: "rng", slot: mistake === "open" ? 1 : 2 }),
      mistake === "open" ? "rng0" : "rng1",
    );
  }
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("a card's ports are free when it is gone", async () => {
  await using machine = await open(EJECT_ALL);
  machine.start();
  for (let round = 0; round < 3; round++) {
    await gone(machine, await machine.attach({ ...CARD, port: 0x300 }));
  }
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("a card that comes has its deadlines served", async () => {
  await using machine = await open();
  machine.start();
  const expired = next(machine, "expired");
  await machine.attach({ ...CARD, timed: true });
  await expired;
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("a card that is gone has no deadlines any more", async () => {
  await using machine = await open(EJECT_ALL);
  machine.start();
  await gone(machine, await machine.attach({ ...CARD, timed: true }));
  machine.listen((device, { kind }) => assert.notEqual(kind, "expired", device));
  for (let round = 0; round < 3; round++) await gone(machine, await machine.attach(CARD));
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("a console that comes gets the input that nobody took", async () => {
  await using machine = await open(SPIN, { devices: [] });
  machine.start();
  await machine.attach({ ...CARD, input: true });
  const input = next(machine, "input");
  await machine.console.send(new TextEncoder().encode("hello"));
  assert.equal((await input).text, "hello");
  assert.equal((await machine.stop()).kind, "killed");
});
