import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import { BlockGuest, blockHeader, blockRange, writeRequest } from "../../../tests/block_guest.ts";
import { nothingOpenedSince, openFiles } from "../../../tests/leaks.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { disk } from "../../virtio/disk.ts";
import { BlkStatus, BlkType } from "../../virtio/disk/protocol.ts";

const { OK, IOERR } = BlkStatus;
const MIB = 2 ** 20;

class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "hvsh-file-" });
  readonly #before = openFiles();

  image(name: string, size = 2 ** 20): string {
    const path = `${this.path}/${name}`;
    Deno.writeFileSync(path, new Uint8Array(0));
    Deno.truncateSync(path, size);
    return path;
  }

  [Symbol.dispose](): void {
    nothingOpenedSince(this.#before);
    Deno.removeSync(this.path, { recursive: true });
  }
}

Deno.test("who writes an image has it alone; readers share it", async () => {
  using folder = new Folder();
  const path = folder.image("a.img");
  {
    await using _writer = await VirtioMachine.open(disk, { path });
    for (const config of [{}, { readonly: true }, { overlay: "temporary" }]) {
      await assert.rejects(VirtioMachine.open(disk, { path, ...config }), (error: Error) => {
        assert.match(error.message, /a\.img is in use by another program/);
        assert.match((error as Error & { hint: string }).hint, /readonly/);
        return true;
      });
    }
  }
  await using _reader = await VirtioMachine.open(disk, { path, readonly: true });
  await using _other = await VirtioMachine.open(disk, { path, readonly: true, cache: "none" });
  await assert.rejects(VirtioMachine.open(disk, { path }), /in use/);
});

Deno.test("QEMU's tools see that an image is in use", async () => {
  using folder = new Folder();
  const path = folder.image("a.img");
  const write = () =>
    new Deno.Command("qemu-io", { args: ["-f", "raw", "-c", "write 0 512", path] }).outputSync();
  {
    await using _vm = await VirtioMachine.open(disk, { path });
    const { stderr, code } = write();
    assert.notEqual(code, 0);
    assert.match(new TextDecoder().decode(stderr), /lock/);
  }
  assert.equal(write().code, 0);
});

Deno.test("what is no disk is refused, and nothing waits for it", async () => {
  using folder = new Folder();
  const fifo = `${folder.path}/fifo`;
  new Deno.Command("mkfifo", { args: [fifo] }).outputSync();
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ path: fifo }, /^DocumentError: path: .*neither a file nor a block device/],
    [{ path: "/dev/zero" }, /neither/],
    [{ path: folder.path }, /EISDIR/],
    [{ path: folder.path, readonly: true }, /neither/],
    [{ path: `${folder.path}/missing` }, /missing: open: no such file.*ENOENT/],
    [{ path: folder.image("small", 511) }, /too small for a disk: 511 bytes/],
    [{}, /needs a path, or nbd/],
  ];
  for (const [config, message] of cases) {
    await assert.rejects(VirtioMachine.open(disk, config), message);
  }
});

Deno.test("the schema names the key at fault", async () => {
  const wrong: [string, unknown][] = [
    ["path", ""],
    ["path", "a\0b"],
    ["cache", "unsafe"],
    ["engine", "aio"],
    ["queues", 0],
    ["queues", 17],
    ["queues", 1.5],
    ["serial", "x".repeat(21)],
    ["serial", "ä".repeat(11)],
    ["timeout", 0],
    ["limit", { bytes: 0 }],
    ["limit", { operations: "fast" }],
    ["limit", { burst: -1 }],
  ];
  for (const [key, value] of wrong) {
    await assert.rejects(VirtioMachine.open(disk, { path: "/x", [key]: value }), (error: Error) => {
      const [issue] = (error as Error & { issues: { path: { key: string }[] }[] }).issues;
      assert.equal(issue!.path[0]!.key, key);
      return true;
    });
  }
});

/** Runs with a limit on the size of files. */
async function withFileLimit(bytes: number, work: () => Promise<void>): Promise<void> {
  const limit = (value: string) => {
    const { code, stderr } = new Deno.Command("prlimit", {
      args: ["--pid", `${Deno.pid}`, `--fsize=${value}:`],
    }).outputSync();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  };
  limit(`${bytes}`);
  try {
    await work();
  } finally {
    limit("unlimited");
  }
}

for (const engine of ["io_uring", "preadv"]) {
  Deno.test(`${engine}: a host that has no room for a write gives an error, and an event`, async () => {
    using folder = new Folder();
    const path = folder.image("a.img");
    await using vm = await VirtioMachine.open(disk, { path, engine });
    const guest = new BlockGuest(vm);
    await withFileLimit(2 ** 19, async () => {
      const late = await guest.request(writeRequest(1500, new Uint8Array(512)));
      assert.equal(late.status, IOERR);
      assert.match(vm.events[0]!.message!, /EFBIG/);
      await guest.write(1000, new Uint8Array(512));
      // The first half fits; the request has failed all the same.
      const half = await guest.request(writeRequest(1020, new Uint8Array(8 * 512)));
      assert.equal(half.status, IOERR);
    });
    await guest.write(1500, new Uint8Array(512));
    assert.equal(vm.stats.errors, 2);
  });

  Deno.test(`${engine}: an overlay that has no room gives errors, and stays whole`, async () => {
    using folder = new Folder();
    const path = folder.image("a.img");
    const overlay = `${folder.path}/overlay`;
    const config = { path, overlay, engine };
    {
      await using vm = await VirtioMachine.open(disk, config);
      const guest = new BlockGuest(vm);
      await withFileLimit(2 ** 19, async () => {
        await guest.write(0, new Uint8Array(512).fill(1));
        for (const sectors of [1, 128, 256]) {
          const request = writeRequest(1536, new Uint8Array(sectors * 512).fill(2));
          assert.equal((await guest.request(request)).status, IOERR);
        }
        assert.deepEqual(await guest.read(1536, 4), new Uint8Array(2048));
        assert.equal(await guest.status(BlkType.FLUSH), OK);
      });
    }
    await using vm = await VirtioMachine.open(disk, config);
    const guest = new BlockGuest(vm);
    assert.deepEqual(await guest.read(0, 1), new Uint8Array(512).fill(1));
    assert.deepEqual(await guest.read(1536, 4), new Uint8Array(2048));
  });
}

Deno.test("one request has a bounded size, however often it names the same memory", async () => {
  using folder = new Folder();
  const path = folder.image("a.img", 2 ** 32);
  await using vm = await VirtioMachine.open(disk, { path });
  const guest = new BlockGuest(vm);
  const address = vm.heap.take(8 * MIB, 4096);
  const status = async (count: number, length: number, indirect = false) => {
    const piece = { address, length };
    const write = [...new Array(count).fill(piece), 1];
    return (await guest.request({ read: [blockHeader(BlkType.IN)], write, indirect })).status;
  };
  assert.equal(await status(253, 2 ** 18), OK);
  assert.equal(vm.stats.bytes_read, 253 * 2 ** 18);
  assert.equal(await status(8, 8 * MIB), IOERR);
  // A table may have more descriptors than a request has pieces.
  assert.equal(await status(256, 512, true), OK);
  assert.equal(await status(257, 512, true), IOERR);
});

Deno.test("a file system without ZERO_RANGE gets zeros written", async () => {
  // tmpfs has no FALLOC_FL_ZERO_RANGE.
  const path = Deno.makeTempFileSync({ dir: "/dev/shm", prefix: "hvsh-disk-" });
  try {
    Deno.writeFileSync(path, new Uint8Array(2 ** 20).fill(7));
    await using vm = await VirtioMachine.open(disk, { path });
    const guest = new BlockGuest(vm);
    assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(3, 1999)), OK);
    const expected = new Uint8Array(2 ** 20).fill(7).fill(0, 3 * 512, 2002 * 512);
    assert.deepEqual(await guest.read(0, 2048), expected);
  } finally {
    Deno.removeSync(path);
  }
});
