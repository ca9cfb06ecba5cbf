import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockGuest, blockHeader, blockRange, writeRequest } from "../../../tests/block_guest.ts";
import { nothingOpenedSince, openFiles } from "../../../tests/leaks.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { disk } from "../../virtio/disk.ts";
import { BlkType } from "../../virtio/disk/protocol.ts";
import { BITMAP_OFFSET, CLUSTER, dataOffset } from "./overlay_format.ts";

/** Four clusters and a piece. */
const SECTORS = 4 * 128 + 40;
const ENGINES = ["io_uring", "preadv"] as const;

const pattern = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9) * 13 + seed) & 0xff);

/** A folder with a base image. */
class Folder implements Disposable {
  readonly path = Deno.makeTempDirSync({ prefix: "hvsh-overlay-" });
  readonly base = `${this.path}/base.img`;
  readonly overlay = `${this.path}/overlay`;
  readonly bytes = pattern(SECTORS * 512, 1);
  readonly #before = openFiles();

  constructor() {
    Deno.writeFileSync(this.base, this.bytes);
  }

  open(config: Record<string, unknown> = {}): Promise<VirtioMachine> {
    return VirtioMachine.open(disk, { path: this.base, overlay: this.overlay, ...config });
  }

  /** The bit of each cluster, as the file has it. */
  get clusters(): number[] {
    const bits = Deno.readFileSync(this.overlay)[BITMAP_OFFSET] ?? 0;
    return [0, 1, 2, 3, 4].map((cluster) => (bits >> cluster) & 1);
  }

  [Symbol.dispose](): void {
    nothingOpenedSince(this.#before);
    assert.deepEqual(Deno.readFileSync(this.base), this.bytes, "the base was written");
    Deno.removeSync(this.path, { recursive: true });
  }
}

for (const engine of ENGINES) {
  Deno.test(`${engine}: what is written is in the overlay, the rest comes from the base`, async () => {
    using folder = new Folder();
    const expected = folder.bytes.slice();
    {
      await using vm = await folder.open({ engine });
      const guest = new BlockGuest(vm);
      const put = async (sector: number, data: Uint8Array) => {
        await guest.write(sector, data);
        expected.set(data, sector * 512);
      };
      await put(130, pattern(3 * 512, 50)); // inside cluster 1
      await put(250, pattern(140 * 512, 60)); // the end of 1, all of 2, the start of 3
      await put(SECTORS - 1, pattern(512, 70)); // the piece at the end
      assert.deepEqual(await guest.read(0, SECTORS), expected);
      assert.deepEqual(await guest.read(127, 3), expected.slice(127 * 512, 130 * 512));
      assert.equal(await guest.status(BlkType.FLUSH), 0);
      assert.deepEqual(folder.clusters, [0, 1, 1, 1, 1]);
    }
    await using again = await folder.open({ engine });
    assert.deepEqual(await new BlockGuest(again).read(0, SECTORS), expected);
  });
}

Deno.test("a cluster's bit is in the file only after a flush, or at the VM's end", async () => {
  using folder = new Folder();
  {
    await using vm = await folder.open();
    const guest = new BlockGuest(vm);
    await guest.write(0, pattern(512, 9));
    assert.deepEqual(folder.clusters, [0, 0, 0, 0, 0]);
    assert.equal(await guest.status(BlkType.FLUSH), 0);
    assert.deepEqual(folder.clusters, [1, 0, 0, 0, 0]);
    await guest.write(300, pattern(512, 9));
    assert.deepEqual(folder.clusters, [1, 0, 0, 0, 0]);
    vm.registers.writeConfig(32, 1, 0); // without a write cache each write is flushed
    await guest.write(128, pattern(512, 9));
    assert.deepEqual(folder.clusters, [1, 1, 1, 0, 0]);
    vm.registers.writeConfig(32, 1, 1);
    await guest.write(400, pattern(512, 9));
  }
  assert.deepEqual(folder.clusters, [1, 1, 1, 1, 0]);
});

Deno.test("a disk whose state is taken has all its clusters in the file", async () => {
  using folder = new Folder();
  await using vm = await folder.open();
  const guest = new BlockGuest(vm);
  await guest.write(0, pattern(512, 9));
  assert.deepEqual(folder.clusters, [0, 0, 0, 0, 0]);
  vm.threads.main.freeze!();
  assert.equal(vm.threads.io.inFlight!(), 0);
  assert.equal(vm.threads.io.kept!(), undefined);
  assert.deepEqual(folder.clusters, [1, 0, 0, 0, 0]);
  vm.threads.main.thaw!();
  assert.deepEqual(await guest.read(0, 1), pattern(512, 9));
});

Deno.test("flushes together with writes: each flush covers what ended before it", async () => {
  using folder = new Folder();
  await using vm = await folder.open();
  const guest = new BlockGuest(vm);
  const flush = { read: [blockHeader(BlkType.FLUSH)], write: [1] };
  for (let round = 0; round < 4; round++) {
    await guest.write(128 * round, pattern(512, round));
    const answers = await guest.requests([
      flush,
      writeRequest(128 * round + 1, pattern(512, 3)),
      flush,
      flush,
    ]);
    assert.deepEqual(answers.map(({ status }) => status), [0, 0, 0, 0]);
    assert.equal(folder.clusters[round], 1);
  }
  assert.equal(vm.stats.in_flight, 0);
});

Deno.test("discards and zeroes touch only the overlay", async () => {
  using folder = new Folder();
  await using vm = await folder.open();
  const guest = new BlockGuest(vm);
  const expected = folder.bytes.slice();
  await guest.write(0, pattern(512, 9));
  expected.set(pattern(512, 9));
  assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(100, 200, 1)), 0);
  expected.fill(0, 100 * 512, 300 * 512);
  assert.deepEqual(await guest.read(0, SECTORS), expected);
  assert.equal(await guest.status(BlkType.DISCARD, blockRange(0, SECTORS)), 0);
  const after = await guest.read(0, SECTORS);
  assert.deepEqual(after.slice(384 * 512), expected.slice(384 * 512), "the base's stay");
});

for (const overlay of ["kept", "temporary"]) {
  Deno.test(`${overlay}: zeros are read where no cluster was written yet, up to the end`, async () => {
    for (const [first, count] of [[314, 198], [0, 1], [SECTORS - 1, 1], [0, SECTORS]] as const) {
      using folder = new Folder();
      const config = overlay === "kept" ? {} : { overlay };
      await using vm = await folder.open(config);
      const guest = new BlockGuest(vm);
      const expected = folder.bytes.slice().fill(0, first * 512, (first + count) * 512);
      assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(first, count)), 0);
      assert.deepEqual(await guest.read(0, SECTORS), expected);
    }
  });
}

Deno.test("an overlay that ends with what was written grows, and its zeros are read", async () => {
  using folder = new Folder();
  {
    await using vm = await folder.open();
    const guest = new BlockGuest(vm);
    await guest.write(0, pattern(512, 9));
    assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(128, 128)), 0);
  }
  Deno.truncateSync(folder.overlay, dataOffset(SECTORS * 512) + CLUSTER);
  await using vm = await folder.open();
  const expected = folder.bytes.slice().fill(0, 128 * 512, 256 * 512);
  expected.set(pattern(512, 9));
  assert.deepEqual(await new BlockGuest(vm).read(0, SECTORS), expected);
});

Deno.test("a temporary overlay leaves nothing", async () => {
  using folder = new Folder();
  for (let round = 0; round < 2; round++) {
    await using vm = await folder.open({ overlay: "temporary" });
    const guest = new BlockGuest(vm);
    assert.deepEqual(await guest.read(0, 4), folder.bytes.slice(0, 2048));
    await guest.write(1, pattern(1024, 77));
    assert.deepEqual(await guest.read(1, 2), pattern(1024, 77));
    assert.equal(await guest.status(BlkType.FLUSH), 0);
  }
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["base.img"]);
});

Deno.test("an overlay goes with its base only, unchanged", async () => {
  using folder = new Folder();
  await (await folder.open())[Symbol.asyncDispose]();
  const other = `${folder.path}/other.img`;
  Deno.writeFileSync(other, folder.bytes);
  Deno.utimeSync(other, 1, 1);
  await assert.rejects(folder.open({ path: other }), /was changed since/);
  Deno.truncateSync(other, 4096);
  await assert.rejects(folder.open({ path: other }), /made over .*base\.img of \d+ bytes/);
  Deno.writeTextFileSync(folder.overlay, "something else");
  await assert.rejects(folder.open(), /no overlay of hvsh's/);
  await assert.rejects(folder.open({ overlay: folder.path }), { code: "EISDIR" });
  await assert.rejects(folder.open({ overlay: folder.base }), /in use/);
  await assert.rejects(folder.open({ overlay: "temporary", readonly: true }), /overlay/);
  await assert.rejects(folder.open({ overlay: "temporary", cache: "none" }), /cache/);
});

Deno.test("a header with any byte flipped is refused, but for the path, which is for people", async () => {
  using folder = new Folder();
  await (await folder.open())[Symbol.asyncDispose]();
  const whole = Deno.readFileSync(folder.overlay);
  for (let at = 0; at < 48; at++) {
    const bytes = whole.slice();
    bytes[at]! ^= 0x41;
    Deno.writeFileSync(folder.overlay, bytes);
    await assert.rejects(folder.open(), /overlay/);
  }
});

Deno.test("two VMs share a base, and not an overlay", async () => {
  using folder = new Folder();
  await using _first = await folder.open();
  await using _second = await folder.open({ overlay: "temporary" });
  await assert.rejects(folder.open(), /in use/);
  await assert.rejects(VirtioMachine.open(disk, { path: folder.base }), /in use/);
});

Deno.test("what a crash leaves is what was flushed, and clusters never half", async () => {
  using folder = new Folder();
  const expected = folder.bytes.slice();
  {
    await using vm = await folder.open();
    const guest = new BlockGuest(vm);
    await guest.write(10, pattern(512, 9));
    expected.set(pattern(512, 9), 10 * 512);
    await guest.status(BlkType.FLUSH);
    await guest.write(140, pattern(512, 9));
    Deno.copyFileSync(folder.overlay, `${folder.path}/crashed`);
  }
  await using vm = await folder.open({ overlay: `${folder.path}/crashed` });
  assert.deepEqual(await new BlockGuest(vm).read(0, SECTORS), expected);
});

const place = fc.integer({ min: 0, max: SECTORS - 1 }).chain((sector) =>
  fc.record({
    sector: fc.constant(sector),
    sectors: fc.integer({ min: 1, max: Math.min(SECTORS - sector, 200) }),
  })
);
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant("write" as const), place, seed: fc.nat(255) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("read" as const), place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("zero" as const), place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("flush" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
);

for (const kind of ["file", "direct", "overlay", "temporary"] as const) {
  Deno.test(`${kind}: any sequence of operations reads like an array of bytes`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { maxLength: 40 }),
        fc.constantFrom(...ENGINES),
        async (operations, engine) => {
          using folder = new Folder();
          const copy = `${folder.path}/copy.img`;
          Deno.copyFileSync(folder.base, copy);
          const config = {
            file: { path: copy, overlay: undefined },
            direct: { path: copy, overlay: undefined, cache: "none" },
            overlay: {},
            temporary: { overlay: "temporary" },
          }[kind];
          const model = folder.bytes.slice();
          let vm = await folder.open({ ...config, engine });
          let guest = new BlockGuest(vm);
          try {
            for (const op of operations) {
              if (op.kind === "flush") {
                assert.equal(await guest.status(BlkType.FLUSH), 0);
              } else if (op.kind === "reopen") {
                if (kind === "temporary") continue;
                await vm[Symbol.asyncDispose]();
                vm = await folder.open({ ...config, engine });
                guest = new BlockGuest(vm);
              } else {
                const { sector, sectors } = op.place;
                const [start, end] = [sector * 512, (sector + sectors) * 512];
                if (op.kind === "read") {
                  assert.deepEqual(await guest.read(sector, sectors), model.slice(start, end));
                } else if (op.kind === "write") {
                  const data = pattern(end - start, op.seed);
                  await guest.write(sector, data);
                  model.set(data, start);
                } else {
                  const range = blockRange(sector, sectors, sector & 1);
                  assert.equal(await guest.status(BlkType.WRITE_ZEROES, range), 0);
                  model.fill(0, start, end);
                }
              }
            }
            assert.deepEqual(await guest.read(0, SECTORS), model);
          } finally {
            await vm[Symbol.asyncDispose]();
          }
        },
      ),
      { numRuns: 25 },
    );
  });
}

Deno.test("the layout is as documented", async () => {
  using folder = new Folder();
  {
    await using vm = await folder.open();
    await new BlockGuest(vm).write(128, pattern(512, 42));
  }
  const bytes = Deno.readFileSync(folder.overlay);
  const view = new DataView(bytes.buffer);
  assert.equal(new TextDecoder().decode(bytes.slice(0, 8)), "HVSHOVL\0");
  assert.deepEqual([8, 12].map((at) => view.getUint32(at, true)), [1, CLUSTER]);
  assert.equal(view.getBigUint64(16, true), BigInt(SECTORS * 512));
  assert.equal(view.getBigUint64(40, true), BigInt(dataOffset(SECTORS * 512)));
  const length = view.getUint32(48, true);
  assert.equal(new TextDecoder().decode(bytes.slice(52, 52 + length)), folder.base);
  assert.equal(bytes.length, dataOffset(SECTORS * 512) + SECTORS * 512);
  const at = dataOffset(SECTORS * 512) + CLUSTER;
  assert.deepEqual(bytes.slice(at, at + 512), pattern(512, 42));
});
