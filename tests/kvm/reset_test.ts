import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { COUNT, listing, SPIN } from "../guest_code.ts";
import { openVmFiles } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";

/** Says what the word at 0x500 is, which is zero at power-on, makes it 1, and resets the machine. */
const RESET = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  ba f8 03              mov dx, 0x3f8
  a0 00 05              mov al, [0x500]
  04 30                 add al, '0'
  ee                    out dx, al
  c6 06 00 05 01        mov byte [0x500], 1
  ba f9 0c              mov dx, 0xcf9
  b0 06                 mov al, 6             ; RST_CPU and SYS_RST
  ee                    out dx, al
  ba f8 03              mov dx, 0x3f8
  b0 21                 mov al, '!'           ; nobody comes here
  ee                    out dx, al
  f4                    hlt
`);

/** Resets by the keyboard controller. */
const KEYBOARD_RESET = listing(`
  ba f8 03              mov dx, 0x3f8
  b0 52                 mov al, 'R'
  ee                    out dx, al
  b0 fe                 mov al, 0xfe
  e6 64                 out 0x64, al
  eb fe                 jmp $
`);

onKvm("a guest's own reset ends its VM, unless the document has it start anew", async () => {
  await using machine = await Machine.create(flatDocument(RESET));
  const transcript = new Transcript(machine);
  machine.start();
  assert.deepEqual(await machine.ended, { kind: "reset", status: 0 });
  assert.equal(transcript.text, "0");
});

for (const irqchip of [false, true]) {
  const what = irqchip ? "with interrupt controllers" : "without interrupt controllers";
  onKvm(`a thousand resets ${what} each begin with zeroed memory, and leave nothing`, async () => {
    const files = openVmFiles();
    {
      const document = flatDocument(RESET, {}, { reboot: "restart", irqchip });
      await using machine = await Machine.create(document);
      const transcript = new Transcript(machine);
      machine.start({ sprint: true });
      await transcript.until(10);
      const before = openVmFiles();
      await transcript.until(1000);
      assert.deepEqual(openVmFiles(), before);
      await machine.stop();
      assert.match(transcript.text, /^0+$/);
      assert.ok(machine.resets >= 999);
    }
    assert.deepEqual(openVmFiles(), files);
  });
}

onKvm("the keyboard controller's reset starts it anew as well", async () => {
  const document = flatDocument(KEYBOARD_RESET, {}, {
    reboot: "restart",
    devices: [{ type: "serial" }, { type: "i8042" }],
  });
  await using machine = await Machine.create(document);
  const transcript = new Transcript(machine);
  machine.start();
  await transcript.until("RRRRR");
  await machine.stop();
});

onKvm("a guest that spins, halts or is paused is reset from outside", async () => {
  const SAY_AND = (last: Uint8Array) =>
    new Uint8Array([0xba, 0xf8, 0x03, 0xb0, 0x53, 0xee, ...last]); // mov dx,0x3f8; mov al,'S'; out dx,al
  const halted = Uint8Array.of(0xf4, 0xeb, 0xfd);
  for (const last of [SPIN, halted]) {
    await using machine = await Machine.create(flatDocument(SAY_AND(last), {}, { irqchip: true }));
    const events: string[] = [];
    machine.listen((device, { kind }) => void events.push(`${device}:${kind}`));
    const transcript = new Transcript(machine);
    machine.start();
    for (let round = 1; round <= 5; round++) {
      await transcript.until("S".repeat(round));
      await machine.reset();
    }
    await transcript.until("S".repeat(6));
    await machine.pause();
    await machine.reset();
    assert.equal(machine.state, "paused");
    assert.equal(transcript.text, "S".repeat(6));
    machine.resume();
    await transcript.until("S".repeat(7));
    await machine.stop();
    assert.equal(machine.resets, 6);
    assert.deepEqual(events, [
      ...[":running", ...Array(5).fill(":reset"), ":paused", ":reset", ":running", ":ended"],
    ]);
    await assert.rejects(machine.reset(), /Cannot reset a VM that is ended/);
  }
});

onKvm("an end overtakes a reset at any moment", async () => {
  for (let round = 0; round < 20; round++) {
    await using machine = await Machine.create(flatDocument(COUNT, {}, { irqchip: round % 2 > 0 }));
    machine.start();
    const reset = machine.reset();
    for (let turn = 0; turn < round; turn++) await Promise.resolve();
    assert.equal((await machine.stop()).kind, "killed");
    await reset;
  }
});

onKvm("a machine whose image is gone ends when it is to start anew", async () => {
  const path = Deno.makeTempFileSync({ prefix: "hvsh-test-" });
  Deno.writeFileSync(path, SPIN);
  const document = flatDocument(SPIN, {}, { boot: { flat: { images: [{ path }] } } });
  await using machine = await Machine.create(document);
  machine.start();
  const ended = assert.rejects(machine.ended, /ENOENT|no such file/i);
  Deno.removeSync(path);
  await assert.rejects(machine.reset());
  await ended;
});
