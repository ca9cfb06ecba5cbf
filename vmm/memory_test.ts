import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { DocumentError, HostError } from "../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../ffi/files.ts";
import { nothingOpenedSince, openFiles } from "../tests/leaks.ts";
import type { MemoryEntry } from "./document.ts";
import { MachineMemory } from "./memory.ts";
import { closeSlots, openSlots } from "./memory_slot.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** Where the slots lie and what they are, without their addresses in this process. */
const layout = (memory: MachineMemory) =>
  memory.slots.map(({ base, size, ram, readonly }) => ({ base, size, ram, readonly }));

async function withFile(bytes: Uint8Array, work: (path: string) => void): Promise<void> {
  const path = await Deno.makeTempFile({ prefix: "hvsh-test" });
  try {
    await Deno.writeFile(path, bytes);
    work(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Tries memory that must be refused, and looks that the attempt leaves nothing open. */
function refused(entries: readonly MemoryEntry[], message: RegExp): void {
  const before = openFiles();
  assert.throws(() => new MachineMemory(entries), (error) => {
    assert.ok(error instanceof DocumentError || error instanceof HostError, String(error));
    assert.match(error.message, message);
    return true;
  });
  nothingOpenedSince(before);
}

Deno.test("RAM without an address starts at 0 and goes on at 4 GiB behind the hole below", () => {
  using small = new MachineMemory([{ type: "ram", size: 64 * MIB }]);
  assert.deepEqual(layout(small), [{ base: 0, size: 64 * MIB, ram: true, readonly: false }]);
  using large = new MachineMemory([{ type: "ram", size: 4 * GIB }]);
  assert.deepEqual(layout(large), [
    { base: 0, size: 3 * GIB, ram: true, readonly: false },
    { base: 4 * GIB, size: GIB, ram: true, readonly: false },
  ]);
  // Both halves are one memfd: what is written above is not below.
  large.guest.write(4 * GIB, Uint8Array.of(1));
  assert.equal(large.guest.bytes(0, 1)[0], 0);
});

Deno.test("memory starts as zeros, and another opening of its slots sees what is written", () => {
  using memory = new MachineMemory([{ type: "ram", base: 0x10_0000, size: MIB }]);
  assert.equal(memory.guest.read(0x10_0000, 4096).some((byte) => byte !== 0), false);
  const other = openSlots(memory.slots);
  memory.guest.write(0x1f_fffc, Uint8Array.of(1, 2, 3, 4));
  assert.deepEqual([...other.bytes(0x1f_fffc, 4)], [1, 2, 3, 4]);
  closeSlots(other);
});

Deno.test("a ROM has its file's bytes, whole pages of them, and is not told as RAM", async () => {
  await withFile(new Uint8Array(5000).fill(0xab), (path) => {
    using memory = new MachineMemory([
      { type: "ram", base: 0, size: 4096 },
      { type: "rom", base: 0xf_0000, path },
    ]);
    assert.deepEqual(layout(memory)[1], { base: 0xf_0000, size: 8192, ram: false, readonly: true });
    assert.equal(memory.guest.bytes(0xf_0000 + 4999, 1)[0], 0xab);
    assert.equal(memory.guest.bytes(0xf_0000 + 5000, 1)[0], 0);
  });
});

Deno.test("writes to a file region stay here, those to a shared one reach the file", async () => {
  await withFile(new Uint8Array(3 * 4096), (path) => {
    {
      using memory = new MachineMemory([
        { type: "file", base: 0, path, offset: 4096, size: 4096 },
        { type: "shared", base: 0x10_0000, path, offset: 8192 },
      ]);
      memory.guest.write(0, Uint8Array.of(1));
      memory.guest.write(0x10_0000, Uint8Array.of(2));
    }
    const bytes = Deno.readFileSync(path);
    assert.deepEqual([bytes[0], bytes[4096], bytes[8192]], [0, 0, 2]);
  });
});

Deno.test("memory that goes on from a file is zeros after each clearing, and the file stays", async () => {
  await withFile(new Uint8Array(8192).fill(0xab), (path) => {
    const fd = openFile(path, OpenFlag.RDONLY);
    const region = { name: "ram0", base: 0, size: 8192, ram: true, readonly: false };
    using memory = MachineMemory.restored(
      [region],
      new Map([["ram0", { fd, offset: 0, size: 8192 }]]),
    );
    closeFile(fd);
    assert.equal(memory.guest.bytes(4096, 1)[0], 0xab);
    for (let i = 0; i < 3; i++) {
      memory.guest.write(4096, Uint8Array.of(1));
      memory.clear();
      assert.deepEqual(memory.guest.read(0, 8192), new Uint8Array(8192), `clearing ${i}`);
    }
    assert.equal(Deno.readFileSync(path)[4096], 0xab);
  });
});

Deno.test("memory that copies are made of is zeros after each clearing, below and above 4 GiB", () => {
  using memory = new MachineMemory([{ type: "ram", size: 4 * GIB }]);
  const places = [0, 3 * GIB - 1, 4 * GIB, 5 * GIB - 1];
  for (let i = 0; i < 3; i++) {
    for (const at of places) memory.guest.write(at, Uint8Array.of(1));
    if (i !== 1) memory.images(false);
    memory.clear();
    for (const at of places) assert.equal(memory.guest.bytes(at, 1)[0], 0, `clearing ${i}`);
  }
});

Deno.test("pieces that overlap, or aren't whole pages, are refused and leave nothing open", () => {
  const ram = (base: number, size: number): MemoryEntry => ({ type: "ram", base, size });
  refused([ram(0, 8192), ram(4096, 4096)], /memory\[1\]: 0x1000-0x1fff overlaps the region at 0x0/);
  refused([ram(4096, 4096), ram(0, MIB)], /memory\[1\]: 0x0-0xfffff overlaps/);
  refused([{ type: "ram", size: 4 * GIB }, ram(5 * GIB - 4096, 4096)], /overlaps/);
  refused([ram(0, 0)], /memory\[0\]: size 0 is not a multiple of 4096/);
  refused([ram(0, 4095)], /size 4095/);
  refused([ram(1, 4096)], /base 0x1 is not a multiple of 4096/);
  refused([ram(2 ** 53 - 4096, 8192)], /memory\[0\]/);
  refused([{ type: "ram" }], /size 0/);
});

Deno.test("a file that cannot be the region it should is refused and leaves nothing open", async () => {
  await withFile(new Uint8Array(4096), (path) => {
    refused([{ type: "rom", path }], /memory\[0\]: rom needs "path" and "base"/);
    refused([{ type: "rom", base: 0 }], /needs "path" and "base"/);
    refused([{ type: "rom", base: 0, path, size: 8192 }], /has 4096 bytes, not 8192 at 0/);
    refused([{ type: "rom", base: 0, path, offset: 100 }], /at 100/);
    refused([{ type: "rom", base: 0, path, offset: 8192 }], /has 4096 bytes/);
    refused([{ type: "rom", base: 0, path, size: 2 ** 52 }], /has 4096 bytes/);
  });
  await withFile(new Uint8Array(), (path) => {
    refused([{ type: "file", base: 0, path }], /has 0 bytes/);
  });
  refused([{ type: "rom", base: 0, path: "/no/such/file" }], /\/no\/such\/file.*ENOENT/);
  refused([{ type: "shared", base: 0, path: "/tmp" }], /\/tmp: open: is a directory/);
  refused([{ type: "rom", base: 0, path: "/tmp" }], /memory\[0\]: \/tmp is no plain file/);
  refused([{ type: "rom", base: 0, path: "/dev/zero" }], /\/dev\/zero is no plain file/);
});

Deno.test("more memory than the host has addresses for is refused with the size in the hint", () => {
  for (const size of [2 ** 50, 2 ** 52]) {
    assert.throws(() => new MachineMemory([{ type: "ram", base: 0, size }]), (error) => {
      assert.ok(error instanceof HostError, String(error));
      assert.match(error.hint!, /the guest wants (1024|4096)T of memory; try a smaller/);
      return true;
    });
  }
});

Deno.test("a region added later may not overlap, and closing gives everything back", () => {
  const before = openFiles();
  {
    using memory = new MachineMemory([{ type: "ram", base: 0, size: MIB }]);
    assert.throws(
      () => memory.addRom(0xf_f000, 4096, "boot.firmware"),
      /boot\.firmware: .* overlaps/,
    );
    memory.addRom(0xffff_f000, 4096, "boot.firmware");
    memory.guest.write(0xffff_f000, Uint8Array.of(1)); // this thread may write it
    assert.deepEqual(openFiles().length, before.length + 3); // the refused one's is kept until the end
  }
  nothingOpenedSince(before);
});
