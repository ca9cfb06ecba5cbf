/** A machine's memory as another process finds it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ProcessMemory, slotRecords } from "../../vmm/debug/process_memory.ts";
import { Machine } from "../../vmm/machine.ts";
import { forkMachine, forkSource } from "../../vmm/state/fork.ts";
import { flatDocument } from "../flat_machine.ts";
import { SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";

const PAGE = 4096;

/** A machine with memory of every kind, and the file that is behind some of it. */
async function withMemory(
  work: (machine: Machine, memory: ProcessMemory, path: string) => Promise<void>,
): Promise<void> {
  const path = Deno.makeTempFileSync({ prefix: "hvsh-test-" });
  Deno.writeFileSync(path, new Uint8Array(4 * PAGE).fill(0x66));
  try {
    await using machine = await Machine.create(flatDocument(SPIN, {}, {
      memory: [
        { type: "ram", base: 0, size: 2 ** 20 },
        { type: "shared", base: 0x20_0000, path },
        { type: "file", base: 0x30_0000, path, offset: PAGE },
        { type: "ram", base: 0x4000_0000, size: 2 ** 26 },
      ],
    }));
    using memory = new ProcessMemory(
      Deno.pid,
      JSON.parse(JSON.stringify(slotRecords(machine.slots))),
    );
    await work(machine, memory, path);
  } finally {
    Deno.removeSync(path);
  }
}

onKvm("what one writes the other reads, in memory of every kind", async () => {
  await withMemory(async (machine, memory, path) => {
    await machine.inspect(({ memory: guest }) => {
      fc.assert(fc.property(
        fc.constantFrom(0, 0x20_0000, 0x30_0000, 0x4000_0000),
        fc.nat({ max: 2 * PAGE }),
        fc.uint8Array({ minLength: 1, maxLength: PAGE }),
        fc.boolean(),
        (base, offset, bytes, outside) => {
          const content = Uint8Array.from(bytes);
          if (outside) assert.equal(memory.write(base + offset, content), true);
          else guest.write(base + offset, content);
          const read = new Uint8Array(content.length);
          assert.equal(memory.read(base + offset, read), true);
          assert.deepEqual(read, content);
          assert.deepEqual(guest.read(base + offset, content.length), content);
        },
      ));
    });
    // The region that is the machine's own never reached its file.
    assert.deepEqual(Deno.readFileSync(path).subarray(3 * PAGE), new Uint8Array(PAGE).fill(0x66));
  });
});

onKvm("what is not wholly one piece is neither read nor written", async () => {
  await withMemory((_machine, memory) => {
    for (const [address, length] of [[2 ** 20, 1], [2 ** 20 - 1, 2], [-1, 1], [2 ** 40, 8]]) {
      const bytes = new Uint8Array(length!).fill(7);
      assert.equal(memory.write(address!, bytes), false);
      assert.equal(memory.read(address!, bytes), false);
      assert.deepEqual(bytes, new Uint8Array(length!).fill(7));
    }
    return Promise.resolve();
  });
});

onKvm(
  "what was never written is told from what was, and reading it allocates none of it",
  async () => {
    await withMemory((_machine, memory) => {
      const [start, end] = [0x4000_0000, 0x4400_0000];
      assert.deepEqual([...memory.written(start, end)], []);
      memory.read(start, new Uint8Array(2 ** 20));
      assert.deepEqual([...memory.written(start, end)], []);
      memory.write(start + 2 ** 25 + 5, Uint8Array.of(1));
      const ranges = [...memory.written(start, end)];
      assert.equal(ranges.length, 1);
      const { start: from, end: to } = ranges[0]!;
      assert.ok(from <= start + 2 ** 25 + 5 && to > start + 2 ** 25 + 5 && to - from <= 2 ** 21);
      return Promise.resolve();
    });
  },
);

onKvm(
  "who opened memory before copies were made sees what it is since, and not theirs",
  async () => {
    await withMemory(async (machine, memory) => {
      const BASE = 0x4000_0000;
      memory.write(BASE, Uint8Array.of(1));
      assert.notEqual(memory.map(BASE), undefined);
      const byte = (from: ProcessMemory) => {
        const target = new Uint8Array(1);
        from.read(BASE, target);
        return target[0];
      };
      using source = await forkSource(machine);
      await using copy = await forkMachine(source);
      using copied = new ProcessMemory(Deno.pid, slotRecords(copy.slots));
      await machine.inspect(({ memory: guest }) => guest.write(BASE, Uint8Array.of(2)));
      assert.deepEqual([byte(memory), byte(copied)], [2, 1]);
      assert.equal(memory.map(BASE), undefined);
      assert.deepEqual([...memory.written(BASE, BASE + PAGE)], [{ start: BASE, end: BASE + PAGE }]);
      memory.write(BASE, Uint8Array.of(3));
      assert.deepEqual([byte(memory), byte(copied)], [3, 1]);
      await using later = await forkMachine(source);
      using copiedLater = new ProcessMemory(Deno.pid, slotRecords(later.slots));
      assert.equal(byte(copiedLater), 1);
    });
  },
);

onKvm(
  "who was told of memory's files, and opens them after copies were made, is right too",
  async () => {
    await withMemory(async (machine, memory) => {
      const BASE = 0x4000_0000;
      for (let i = 1; i < 4; i++) {
        await machine.inspect(({ memory: guest }) => guest.write(BASE, Uint8Array.of(i)));
        (await forkSource(machine))[Symbol.dispose]();
      }
      const target = new Uint8Array(1);
      memory.read(BASE, target);
      assert.equal(target[0], 3);
      memory.write(BASE, Uint8Array.of(9));
      assert.equal(await machine.inspect(({ memory: guest }) => guest.read(BASE, 1)[0]), 9);
    });
  },
);

onKvm("the memory of a process that is gone is an error that says so", () => {
  const slot = { base: 0, size: PAGE, ram: true, readonly: false, address: "0x1000" };
  using memory = new ProcessMemory(2 ** 30, [{ ...slot, file: { fd: 3, offset: 0 } }]);
  assert.throws(() => memory.read(0, new Uint8Array(1)), /The VM's process has ended meanwhile/);
});
