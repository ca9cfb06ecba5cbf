import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import {
  BlockGuest,
  blockHeader,
  blockRange,
  readRequest,
  writeRequest,
} from "../../tests/block_guest.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { unwrittenPages } from "../../tests/page_cache.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../tests/virtio_machine.ts";
import { BlkFeature, BlkStatus, BlkType } from "./disk/protocol.ts";
import { disk } from "./disk.ts";

const PAGE = 4096;
const { OK, IOERR, UNSUPP } = BlkStatus;
const ENGINES = ["io_uring", "preadv"] as const;
const SECTORS = 2048;

const pattern = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9) * 13 + seed) & 0xff);

/** A disk of 1 MiB with a pattern, for one test. */
class Image implements Disposable {
  readonly path = Deno.makeTempFileSync({ prefix: "hvsh-disk-" });
  readonly #before = openFiles();

  constructor(readonly bytes: Uint8Array = pattern(SECTORS * 512, 1)) {
    Deno.writeFileSync(this.path, bytes);
  }

  get now(): Uint8Array {
    return Deno.readFileSync(this.path);
  }

  [Symbol.dispose](): void {
    nothingOpenedSince(this.#before);
    Deno.removeSync(this.path);
  }
}

async function withDisk(
  config: Record<string, unknown>,
  work: (guest: BlockGuest, vm: VirtioMachine, image: Image) => Promise<void>,
  options: VirtioMachineOptions = {},
): Promise<void> {
  using image = new Image();
  await using vm = await VirtioMachine.open(disk, { path: image.path, ...config }, options);
  await work(new BlockGuest(vm), vm, image);
}

/** A test over each transport. */
function onEach(name: string, test: (open: typeof withDisk) => Promise<void>): void {
  for (const transport of TRANSPORTS) {
    Deno.test(`${transport}: ${name}`, () =>
      test((config, work, options) => withDisk(config, work, { transport, ...options })));
  }
}

for (const transport of TRANSPORTS) {
  for (const engine of ENGINES) {
    Deno.test(`${transport}, ${engine}: what is written is read back, and lies in the file`, async () => {
      await withDisk({ engine }, async (guest, vm, image) => {
        assert.deepEqual(await guest.read(3, 8), image.bytes.slice(3 * 512, 11 * 512));
        const data = pattern(20 * 512, 99);
        await guest.write(100, data);
        assert(vm.takeInterrupt(0));
        assert.deepEqual(await guest.read(95, 30).then((d) => d.slice(5 * 512, 25 * 512)), data);
        assert.equal(await guest.status(BlkType.FLUSH), OK);
        assert.deepEqual(image.now.slice(100 * 512, 120 * 512), data);
        const { reads, writes, flushes, bytes_read, bytes_written, io_uring, errors } = vm.stats;
        assert.deepEqual(
          { reads, writes, flushes, bytes_read, bytes_written, io_uring, errors },
          {
            reads: 2,
            writes: 1,
            flushes: 1,
            bytes_read: 38 * 512,
            bytes_written: 20 * 512,
            io_uring: Number(engine === "io_uring"),
            errors: 0,
          },
        );
      }, { transport });
    });
  }

  Deno.test(`${transport}: header, data and status in any pieces`, async () => {
    await withDisk({}, async (guest, _, image) => {
      const header = blockHeader(BlkType.IN, 1);
      const pieces = [...header].map((byte) => Uint8Array.of(byte));
      const read = await guest.request({ read: pieces, write: [1, 510, 0, 512, 2] });
      assert.equal(read.status, OK);
      assert.deepEqual(read.data, image.bytes.slice(512, 512 * 3));
      const data = pattern(1024, 5);
      const whole = Uint8Array.of(...blockHeader(BlkType.OUT, 7), ...data);
      const written = await guest.request({
        read: [whole.slice(0, 5), whole.slice(5, 40), whole.slice(40)],
        write: [1],
        indirect: true,
      });
      assert.equal(written.status, OK);
      assert.deepEqual(image.now.slice(7 * 512, 9 * 512), data);
    }, { transport });
  });

  Deno.test(`${transport}: the configuration space describes the disk`, async () => {
    await withDisk({ queues: 4 }, (_, vm) => {
      const { registers } = vm;
      assert.equal(registers.readConfig(0, 4), SECTORS);
      assert.equal(registers.readConfig(4, 4), 0);
      assert.equal(registers.readConfig(8, 4), 2 ** 18);
      assert.equal((registers.offered >> BigInt(BlkFeature.SIZE_MAX)) & 1n, 0n);
      assert.equal(registers.readConfig(12, 4), 254);
      assert.equal(registers.readConfig(20, 4), 512);
      assert.equal(registers.readConfig(32, 1), 1);
      assert.equal(registers.readConfig(34, 2), 4);
      return Promise.resolve();
    }, { transport });
  });
}

for (const engine of ENGINES) {
  for (const overlay of [undefined, "temporary"]) {
    const where = overlay === undefined ? "file" : "overlay";
    Deno.test(`${engine}, ${where}: a segment may be as long as its request`, async () => {
      using image = new Image(pattern(2 ** 23, 1));
      await using vm = await VirtioMachine.open(disk, { path: image.path, engine, overlay });
      const guest = new BlockGuest(vm);
      const data = pattern(2 ** 22, 9);
      await guest.write(3, data);
      const expected = image.bytes.slice();
      expected.set(data, 3 * 512);
      assert.deepEqual(await guest.read(0, 2 ** 13), expected.slice(0, 2 ** 22));
      assert.deepEqual(await guest.read(2 ** 13, 2 ** 13), expected.slice(2 ** 22));
      assert.equal(vm.stats.errors, 0);
    });
  }
}

Deno.test("many requests in one notification are all done, on each of several queues", async () => {
  await withDisk({ queues: 3 }, async (guest, vm, image) => {
    for (const queue of [0, 1, 2]) {
      const list = Array.from({ length: 80 }, (_, i) => readRequest((i * 25) % SECTORS, 1 + i % 7));
      const answers = await guest.requests(list, queue);
      answers.forEach(({ status, data }, i) => {
        const at = ((i * 25) % SECTORS) * 512;
        assert.equal(status, OK);
        assert.deepEqual(data, image.bytes.slice(at, at + data.length));
      });
      assert(vm.takeInterrupt(queue));
    }
  });
});

for (const engine of ENGINES) {
  Deno.test(`${engine}: more chains wait than there are tags, and none is forgotten`, async () => {
    await withDisk({ engine, queues: 3 }, async (guest, vm) => {
      const rounds = [0, 1, 2].map((queue) => {
        const one = { read: [blockHeader(BlkType.FLUSH)], write: [1] };
        for (let i = 0; i < 128; i++) vm.driver(queue).add(one);
        vm.kick(queue);
        return queue;
      });
      const counts = [0, 0, 0];
      await vm.until(() => {
        for (const queue of rounds) counts[queue]! += vm.driver(queue).collect().length;
        return counts.every((count) => count === 128);
      });
      assert.equal(vm.stats.flushes, 384);
      assert.equal(vm.stats.in_flight, 0);
      await guest.read(0, 1);
    });
  });
}

onEach("GET_ID gives the serial number, by default the device's name", async (withDisk) => {
  const request = { read: [blockHeader(BlkType.GET_ID)], write: [20, 1] };
  const name = (data: Uint8Array) => new TextDecoder().decode(data).replace(/\0+$/, "");
  await withDisk({}, async (guest) => {
    const { status, data, written } = await guest.request(request);
    assert.deepEqual([status, name(data), written], [OK, "disk0", 21]);
    const short = await guest.request({ ...request, write: [19, 1] });
    assert.deepEqual([short.status, short.written], [IOERR, 0]);
  });
  await withDisk({ serial: "ABCDEFGHIJ0123456789" }, async (guest) => {
    assert.equal(name((await guest.request(request)).data), "ABCDEFGHIJ0123456789");
  });
});

for (const engine of ENGINES) {
  Deno.test(`${engine}: discard and write zeroes`, async () => {
    await withDisk({ engine }, async (guest, _, image) => {
      assert.equal(await guest.status(BlkType.DISCARD, blockRange(8, 8), blockRange(64, 8)), OK);
      assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(17, 3)), OK);
      assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(33, 30, 1)), OK);
      for (const [sector, sectors] of [[17, 3], [33, 30]] as const) {
        assert.deepEqual(await guest.read(sector, sectors), new Uint8Array(sectors * 512));
      }
      assert.deepEqual(await guest.read(20, 13), image.bytes.slice(20 * 512, 33 * 512));
      assert.equal(image.now.length, image.bytes.length);
    });
  });
}

onEach("a read-only disk refuses all writing, and offers none", async (withDisk) => {
  await withDisk({ readonly: true }, async (guest, vm, image) => {
    assert.equal((vm.registers.offered >> BigInt(BlkFeature.RO)) & 1n, 1n);
    for (const bit of [BlkFeature.DISCARD, BlkFeature.WRITE_ZEROES, BlkFeature.FLUSH]) {
      assert.equal((vm.registers.offered >> BigInt(bit)) & 1n, 0n);
    }
    assert.equal((await guest.request(writeRequest(0, new Uint8Array(512)))).status, IOERR);
    assert.equal(await guest.status(BlkType.DISCARD, blockRange(0, 8)), IOERR);
    assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(0, 8)), IOERR);
    assert.equal(await guest.status(BlkType.FLUSH), OK);
    assert.deepEqual(await guest.read(0, 1), image.bytes.slice(0, 512));
    assert.deepEqual(image.now, image.bytes);
  });
});

Deno.test("the driver switches the write cache off", async () => {
  await withDisk({}, async (guest, vm) => {
    assert.equal(vm.registers.readConfig(32, 1), 1);
    vm.registers.writeConfig(32, 1, 0);
    assert.equal(vm.registers.readConfig(32, 1), 0);
    await guest.write(0, pattern(512, 3));
    vm.reset();
    vm.start();
    assert.equal(vm.registers.readConfig(32, 1), 1);
  });
  await withDisk({}, (_, vm) => {
    assert.equal(vm.registers.readConfig(32, 1), 0);
    return Promise.resolve();
  }, { without: [BlkFeature.FLUSH] });
});

onEach("wrong requests get an error status, and the disk goes on", async (withDisk) => {
  await withDisk({}, async (guest, vm, image) => {
    const status = async (parts: Parameters<BlockGuest["request"]>[0]) =>
      (await guest.request(parts)).status;
    const IN = (sector: number) => blockHeader(BlkType.IN, sector);
    const OUT = (sector: number) => blockHeader(BlkType.OUT, sector);
    const bytes = (length: number) => new Uint8Array(length);
    assert.equal(await status({ read: [IN(0).slice(0, 15)], write: [512, 1] }), IOERR);
    assert.equal(await status({ write: [512, 1] }), IOERR);
    assert.equal(await status({ read: [IN(0)], write: [511, 1] }), IOERR);
    assert.equal(await status({ read: [IN(0)], write: [1] }), IOERR);
    assert.equal(await status({ read: [IN(0), bytes(512)], write: [1] }), IOERR);
    assert.equal(await status({ read: [OUT(0)], write: [1] }), IOERR);
    assert.equal(await status({ read: [OUT(0), bytes(513)], write: [1] }), IOERR);
    assert.equal(await status({ read: [IN(SECTORS)], write: [512, 1] }), IOERR);
    assert.equal(await status({ read: [IN(SECTORS - 1)], write: [1024, 1] }), IOERR);
    for (const sector of [2 ** 52, 2 ** 53 - 1]) {
      assert.equal(await status({ read: [IN(sector)], write: [512, 1] }), IOERR);
      assert.equal(await status({ read: [OUT(sector), bytes(512)], write: [1] }), IOERR);
    }
    const last = IN(0).fill(0xff, 8);
    assert.equal(await status({ read: [last], write: [512, 1] }), IOERR);
    assert.equal(await status({ read: [blockHeader(42)], write: [1] }), UNSUPP);
    assert.equal(await status({ read: [blockHeader(0xffff_ffff)], write: [1] }), UNSUPP);
    assert.equal(await status({ read: [blockHeader(BlkType.FLUSH, 5)], write: [1] }), OK);

    for (const type of [BlkType.DISCARD, BlkType.WRITE_ZEROES]) {
      assert.equal(await guest.status(type), IOERR);
      assert.equal(await guest.status(type, bytes(15)), IOERR);
      assert.equal(await guest.status(type, bytes(9 * 16)), IOERR);
      assert.equal(await guest.status(type, blockRange(0, 0)), IOERR);
      assert.equal(await guest.status(type, blockRange(SECTORS, 1)), IOERR);
      assert.equal(await guest.status(type, blockRange(0, SECTORS + 1)), IOERR);
      assert.equal(await guest.status(type, blockRange(2n ** 64n - 1n, 1)), IOERR);
      assert.equal(await guest.status(type, blockRange(0, 0xffff_ffff)), IOERR);
      assert.equal(await guest.status(type, blockRange(0, 1, 2)), UNSUPP);
    }
    assert.equal(await guest.status(BlkType.DISCARD, blockRange(0, 1, 1)), UNSUPP);
    assert.deepEqual(image.now, image.bytes);
    assert.deepEqual(await guest.read(0, 4), image.bytes.slice(0, 2048));
    assert.equal(vm.events.length, 0);
  });
});

onEach("without the features discards and zeroes are unsupported", async (withDisk) => {
  await withDisk({}, async (guest) => {
    assert.equal(await guest.status(BlkType.DISCARD, blockRange(0, 1)), UNSUPP);
    assert.equal(await guest.status(BlkType.WRITE_ZEROES, blockRange(0, 1)), UNSUPP);
  }, { without: [BlkFeature.DISCARD, BlkFeature.WRITE_ZEROES] });
});

for (const transport of TRANSPORTS) {
  Deno.test(`${transport}: a request that cannot be answered asks for a reset; those before it are done`, async () => {
    await withDisk({}, async (guest, vm, image) => {
      vm.driver(0).add(readRequest(0, 1));
      vm.driver(0).add({ read: [blockHeader(BlkType.IN)] });
      vm.driver(0).add(readRequest(0, 1));
      vm.kick(0);
      await vm.until(() => vm.events.length > 0 && vm.stats.in_flight === 0);
      assert.equal(vm.events[0]!.kind, "needs-reset");
      assert.equal(vm.status & 0x40, 0x40);
      vm.reset();
      vm.start();
      assert.deepEqual(await guest.read(9, 2), image.bytes.slice(9 * 512, 11 * 512));
    }, { transport });
  });

  Deno.test(`${transport}: resets in the middle of I/O`, async () => {
    await withDisk({ queues: 2 }, async (guest, vm, image) => {
      for (let round = 0; round < 50; round++) {
        for (const queue of [0, 1]) {
          for (let i = 0; i < 40; i++) vm.driver(queue).add(readRequest(i * 32, 32));
          vm.driver(queue).add({ read: [blockHeader(BlkType.FLUSH)], write: [1] });
          vm.kick(queue);
        }
        if (round % 3 > 0) vm.poll();
        vm.reset();
        assert.equal(vm.stats.in_flight, 0);
        vm.start();
      }
      assert.deepEqual(await guest.read(9, 2), image.bytes.slice(9 * 512, 11 * 512));
    }, { transport });
  });
}

onEach(
  "a file that is cut off under the disk gives errors, and an event, and recovers",
  async (withDisk) => {
    for (const engine of ENGINES) {
      await withDisk({ engine }, async (guest, vm, image) => {
        Deno.truncateSync(image.path, 100 * 512);
        assert.deepEqual(await guest.read(0, 100), image.bytes.slice(0, 100 * 512));
        assert.equal((await guest.request(readRequest(99, 2))).status, IOERR);
        assert.equal((await guest.request(readRequest(500, 8))).status, IOERR);
        assert.equal(vm.events.length, 1, "events are not a flood");
        assert.match(vm.events[0]!.message!, /EIO/);
        await guest.write(500, pattern(512, 8));
        assert.deepEqual(await guest.read(500, 1), pattern(512, 8));
      });
    }
  },
);

for (const engine of ENGINES) {
  Deno.test(`${engine}: O_DIRECT where memory and sectors are aligned to it, the page cache elsewhere`, async () => {
    await withDisk({ engine, cache: "none" }, async (guest, vm, image) => {
      const page = (pages: number) => ({
        address: vm.heap.take(4096 * pages, 4096),
        length: 4096 * pages,
      });
      const [a, b, c] = [page(1), page(2), page(1)];
      const expected = image.bytes.slice();
      for (const [sector, pieces] of [[64, [a, b]], [61, [b]], [8, [c, a, b]]] as const) {
        const data = pieces.map((piece, i) => pattern(piece.length, sector + i));
        pieces.forEach((piece, i) => vm.memory.write(piece.address, data[i]!));
        const header = blockHeader(BlkType.OUT, sector);
        assert.equal((await guest.request({ read: [header, ...pieces], write: [1] })).status, OK);
        let at = sector * 512;
        for (const part of data) {
          expected.set(part, at);
          at += part.length;
        }
      }
      assert.deepEqual(image.now, expected);
      const read = { read: [blockHeader(BlkType.IN, 0)], write: [b, a, page(5), 1] };
      const { status, data } = await guest.request(read);
      assert.equal(status, OK);
      assert.deepEqual(data, expected.slice(0, 8 * 4096));
    });
  });
}

Deno.test("a size that is no multiple of a sector is rounded down", async () => {
  using image = new Image(pattern(512 * 5 + 300, 4));
  await using vm = await VirtioMachine.open(disk, { path: image.path });
  const guest = new BlockGuest(vm);
  assert.equal(vm.registers.readConfig(0, 4), 5);
  assert.deepEqual(await guest.read(4, 1), image.bytes.slice(4 * 512, 5 * 512));
  assert.equal((await guest.request(readRequest(5, 1))).status, IOERR);
});

Deno.test("resize while running: the driver hears of it, and may use what came", async () => {
  await withDisk({}, async (guest, vm, image) => {
    const { main } = vm.threads;
    const generation = vm.registers.generation;
    assert.equal(main.action!("resize", "2M"), true);
    assert(vm.takeInterrupt(-1));
    assert.notEqual(vm.registers.generation, generation);
    assert.equal(vm.registers.readConfig(0, 4), 4096);
    await guest.write(4000, pattern(512, 6));
    assert.deepEqual(await guest.read(3000, 1), new Uint8Array(512));
    Deno.truncateSync(image.path, 512 * 1024);
    assert.equal(main.action!("resize"), true);
    assert.equal(vm.registers.readConfig(0, 4), 1024);
    assert.equal((await guest.request(readRequest(1024, 1))).status, IOERR);
    assert.throws(() => main.action!("resize", "12Q"), /unit/);
    assert.throws(() => main.action!("resize", "100"), /too few/);
    assert.equal(main.action!("eject"), false);
    vm.reset();
    vm.start();
    assert.equal(vm.registers.readConfig(0, 4), 1024);
  });
});

Deno.test("a limit holds requests back, and none is lost", async () => {
  const limit = { operations: 100, burst: 0.1 };
  await withDisk({ limit }, (_, vm) => {
    for (let i = 0; i < 40; i++) vm.driver(0).add(readRequest(i, 1));
    vm.kick(0);
    const done = () => vm.driver(0).collect().length;
    const settle = () => {
      let count = 0;
      for (;;) {
        vm.poll();
        if (vm.stats.in_flight === 0) break;
      }
      count += done();
      return count;
    };
    const first = settle();
    assert(first >= 10 && first <= 11, `${first} at once`);
    let total = first;
    for (let i = 0; i < 29; i++) {
      vm.advance(10);
      total += settle();
      assert(total <= 11 + (i + 1), `${total} after ${i + 1} steps`);
    }
    vm.advance(100);
    total += settle();
    assert.equal(total, 40);
    assert(vm.stats.limited! > 0);
    return Promise.resolve();
  }, { fakeClock: true });
});

Deno.test("a flush from outside is of what the guest writes: the image, or an overlay that is kept", async () => {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-disk-" });
  const overlay = `${folder}/overlay`;
  for (const config of [{}, { overlay }, { overlay: "temporary" }]) {
    await withDisk(config, async (guest, vm, image) => {
      await guest.write(8, pattern(PAGE, 2));
      await vm.threads.main.flush!();
      const written = config.overlay === undefined ? image.path : overlay;
      assert.equal(unwrittenPages(written) ?? 0, 0);
    });
  }
  Deno.removeSync(folder, { recursive: true });
});
