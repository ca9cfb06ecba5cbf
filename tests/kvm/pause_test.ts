import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument, Transcript } from "../flat_machine.ts";
import { COUNT, FLOOD, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

/** A turn of the event loop. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve));

/** A guest that counts in a file that this test reads too. */
class CountingGuest implements AsyncDisposable {
  readonly machine: Machine;
  readonly #path: string;
  readonly #file: Deno.FsFile;

  private constructor(machine: Machine, path: string) {
    this.machine = machine;
    this.#path = path;
    this.#file = Deno.openSync(path);
  }

  static async start(): Promise<CountingGuest> {
    const path = Deno.makeTempFileSync({ prefix: "hvsh-test-" });
    Deno.writeFileSync(path, new Uint8Array(4096));
    const machine = await Machine.create(flatDocument(COUNT, {}, {
      memory: [{ type: "ram", base: 0, size: 0x1_0000 }, { type: "shared", base: 0x1_0000, path }],
    }));
    machine.start();
    return new CountingGuest(machine, path);
  }

  /** The count now. */
  get count(): number {
    const word = new Uint32Array(1);
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#file.readSync(new Uint8Array(word.buffer));
    return word[0]!;
  }

  /** Waits until it has counted on. */
  async countsOnFrom(seen: number): Promise<void> {
    const end = performance.now() + 60_000;
    while (this.count === seen) {
      assert.ok(performance.now() < end, "The guest does not count on");
      await turn();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    this.#file.close();
    Deno.removeSync(this.#path);
  }
}

onKvm("a guest stands still while it is paused and counts on when it is resumed", async () => {
  await using guest = await CountingGuest.start();
  for (let round = 0; round < 20; round++) {
    await guest.countsOnFrom(guest.count);
    await guest.machine.pause();
    const seen = guest.count;
    for (let look = 0; look < 100; look++) assert.equal(guest.count, seen);
    guest.machine.resume();
    await guest.countsOnFrom(seen);
  }
});

onKvm("no output is lost or doubled by a hundred pauses", async () => {
  await using machine = await Machine.create(flatDocument(FLOOD));
  const transcript = new Transcript(machine);
  machine.start();
  for (let round = 0; round < 100; round++) {
    await transcript.until(transcript.text.length + 1);
    await machine.pause();
    machine.resume();
  }
  await machine.stop();
  const bytes = Uint8Array.from(transcript.text, (c) => c.charCodeAt(0));
  const wrong = bytes.findIndex((byte, i) => byte !== i % 256);
  assert.equal(wrong, -1, `byte ${wrong} of ${bytes.length} is ${bytes[wrong]}`);
  assert.ok(bytes.length >= 100);
});

onKvm("a spinning guest is paused as often as one likes", async () => {
  await using machine = await Machine.create(flatDocument(SPIN));
  machine.start();
  const times: number[] = [];
  for (let round = 0; round < 200; round++) {
    await turn(); // it is well inside of KVM_RUN
    const start = performance.now();
    await machine.pause();
    times.push(performance.now() - start);
    machine.resume();
  }
  // No test promises a time; but one this long would be a kick that got lost.
  assert.ok(Math.max(...times) < 30_000);
});

onKvm("a halted guest with interrupt controllers is paused, resumed and ended too", async () => {
  const halted = Uint8Array.of(0xf4, 0xeb, 0xfd); // hlt; jmp $ - 1
  await using machine = await Machine.create(flatDocument(halted, {}, { irqchip: true }));
  machine.start();
  for (let round = 0; round < 20; round++) {
    await machine.pause();
    machine.resume();
  }
  assert.equal((await machine.stop()).kind, "killed");
});

onKvm("ending a guest that nothing stops works at any moment", async () => {
  for (let round = 0; round < 6; round++) {
    await using machine = await Machine.create(flatDocument(SPIN));
    machine.start();
    // From before its first instruction to well into it.
    for (let waited = 0; waited < round * round; waited++) await turn();
    assert.deepEqual(await machine.stop(), { kind: "killed", status: 137 });
  }
});

onKvm(
  "a pause that is overtaken by the machine's end, or by a resume, comes to an end",
  async () => {
    await using machine = await Machine.create(flatDocument(SPIN));
    machine.start();
    const overtaken = machine.pause();
    machine.resume();
    await overtaken;
    assert.equal(machine.state, "running");
    const last = machine.pause();
    const end = machine.stop();
    await last;
    assert.equal((await end).kind, "killed");
  },
);
