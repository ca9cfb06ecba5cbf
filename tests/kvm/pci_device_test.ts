import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { listing } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

/** Enables the card in slot 1 and prints the eight bytes at its first BAR. Protected mode. */
const READ_CLOCK = listing(`
  66 ba f8 0c           mov dx, 0xcf8         ; command register of 00:01.0
  b8 04 08 00 80        mov eax, 0x80000804
  ef                    out dx, eax
  66 ba fc 0c           mov dx, 0xcfc
  66 b8 02 00           mov ax, 2             ; memory decoding
  66 ef                 out dx, ax
  66 ba f8 0c           mov dx, 0xcf8         ; its first BAR
  b8 10 08 00 80        mov eax, 0x80000810
  ef                    out dx, eax
  66 ba fc 0c           mov dx, 0xcfc
  ed                    in eax, dx
  89 c6                 mov esi, eax
  66 ba f8 03           mov dx, 0x3f8
  b9 08 00 00 00        mov ecx, 8
  8a 06                 mov al, [esi]         ; a byte each: the bus splits nothing
  ee                    out dx, al
  46                    inc esi
  e2 fa                 loop $-4
  b0 00                 mov al, 0
  e6 f4                 out 0xf4, al
  eb fe                 jmp $
`);

const CARD = {
  type: "module",
  module: new URL("../../scripts/examples/clock_card.ts", import.meta.url).href,
};

onKvm("the example's PCI card is found, enabled and read; without it there is no bus", async () => {
  const files = openVmFiles();
  const before = Date.now();
  {
    await using machine = await Machine.create(
      flatDocument(READ_CLOCK, { mode: "protected" }, { devices: [{ type: "serial" }, CARD] }),
    );
    const transcript = new Transcript(machine);
    machine.start();
    assert.deepEqual((await machine.ended).kind, "exit");
    const bytes = Uint8Array.from(transcript.text, (c) => c.charCodeAt(0));
    assert.equal(bytes.length, 8);
    // Bytes of a running clock: only the high ones stand still long enough to be compared.
    const high = new DataView(bytes.buffer).getUint32(4, true);
    assert.equal(high, Math.floor(before / 2 ** 32));
  }
  assert.deepEqual(openVmFiles(), files);
});

onKvm("a slot of the PCI bus has one device, and it needs a bus", async () => {
  const create = (devices: unknown[], more = {}) =>
    Machine.create(flatDocument(READ_CLOCK, {}, { devices, ...more }));
  const card = (slot: unknown) => ({ ...CARD, slot });
  await assert.rejects(create([card(3), card(3)]), {
    message: 'VM document, module1: "slot" is 3',
    hint: /^a free slot of the PCI bus, 1 2 4 /,
  });
  await assert.rejects(create([card(32)]), { message: 'VM document, module0: "slot" is 32' });
  await assert.rejects(create([card("x")]), { message: 'VM document, module0: "slot" is "x"' });
  await assert.rejects(create(Array(32).fill(CARD)), {
    message: "VM document, module31: all 31 slots of the PCI bus are taken",
  });
  await assert.rejects(create([CARD], { pci: false }), {
    message: "VM document, module0: the machine has no PCI bus",
    hint: 'start it with "pci": true',
  });
});

onKvm("a card for a machine that was started without a bus is told what it lacks", async () => {
  const spin = listing(`eb fe  jmp $`);
  const lacking = [
    [
      {},
      /neither a PCI bus nor interrupt controllers$/,
      /^start it with "pci": true, and with .*--irqchip yes/,
    ],
    [{ irqchip: true }, /has no PCI bus$/, /^start it with "pci": true$/],
  ] as const;
  for (const [more, message, hint] of lacking) {
    await using machine = await Machine.create(flatDocument(spin, {}, more));
    machine.start({ paused: true });
    await assert.rejects(machine.attach(CARD), { message, hint });
  }
  const helped = { irqchip: true, pci: true };
  await using machine = await Machine.create(flatDocument(spin, {}, helped));
  machine.start({ paused: true });
  assert.equal(await machine.attach(CARD), "module0");
});

onKvm("a PCI card comes and goes while its VM is paused or runs", async () => {
  await using machine = await Machine.create(
    flatDocument(listing(`eb fe  jmp $`), {}, { devices: [{ type: "serial" }, CARD] }),
  );
  machine.start({ paused: true });
  assert.equal(await machine.attach(CARD), "module1");
  machine.resume();
  assert.equal(await machine.attach({ ...CARD, name: "third" }), "third");
  await assert.rejects(machine.attach({ ...CARD, name: "third" }), {
    message: "There is a device third already",
  });
  await assert.rejects(machine.attach({ type: "serial" }), {
    message: "Device serial1: only a PCI device can come while the VM runs",
  });
  await assert.rejects(machine.detach("serial0"), /is not on the PCI bus/);
  await assert.rejects(machine.detach("nobody"), /There is no device nobody/);
  const abort = new AbortController();
  const leaving = machine.detach("third", abort.signal);
  abort.abort();
  await assert.rejects(leaving, { message: "The guest has not let third go" });
  assert.deepEqual(
    machine.devices.map(({ name }) => name).filter((name) => /third|module/.test(name)),
    ["module0", "module1", "third"],
  );
  await machine.stop();
});
