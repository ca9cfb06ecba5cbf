import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockGuest, blockRange, readRequest, writeRequest } from "../../../tests/block_guest.ts";
import { nothingOpenedSince, openFiles } from "../../../tests/leaks.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../../tests/virtio_machine.ts";
import { disk } from "../../virtio/disk.ts";
import { BlkStatus, BlkType } from "../../virtio/disk/protocol.ts";
import { parseNbdAddress } from "./nbd_address.ts";
import { REQUEST_BYTES } from "./nbd_protocol.ts";

const { OK, IOERR } = BlkStatus;
const SECTORS = 4096;
const pattern = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9) * 13 + seed) & 0xff);

/** A server's process with its socket, ended with the test. */
class Server implements AsyncDisposable {
  readonly folder: string;
  readonly socket: string;
  readonly #child: Deno.ChildProcess;
  readonly #before: string[];

  private constructor(folder: string, before: string[], command: string, args: string[]) {
    this.folder = folder;
    this.socket = `${folder}/socket`;
    this.#before = before;
    this.#child = new Deno.Command(command, { args, stdin: "null", stdout: "null", stderr: "null" })
      .spawn();
  }

  /** Starts a server, and waits until it listens; words get the socket's path and the folder. */
  static async start(
    command: string,
    words: (socket: string, folder: string) => string[],
  ): Promise<Server> {
    const before = openFiles();
    const folder = Deno.makeTempDirSync({ prefix: "hvsh-nbd-" });
    const server = new Server(folder, before, command, words(`${folder}/socket`, folder));
    const deadline = performance.now() + 20_000;
    for (;;) {
      try {
        (await Deno.connect({ transport: "unix", path: server.socket })).close();
        return server;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Stops it, and waits until each of its threads stands still: kill(2) does not. */
  async stop(): Promise<void> {
    this.#child.kill("SIGSTOP");
    const tasks = `/proc/${this.#child.pid}/task`;
    const stands = ({ name }: Deno.DirEntry) =>
      /^State:\tT/m.test(Deno.readTextFileSync(`${tasks}/${name}/status`));
    while (![...Deno.readDirSync(tasks)].every(stands)) {
      await new Promise((resolve) => setTimeout(resolve));
    }
  }

  open(config: Record<string, unknown> = {}, options?: VirtioMachineOptions) {
    return VirtioMachine.open(disk, { nbd: `unix:${this.socket}`, ...config }, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
    await this.#child.status;
    Deno.removeSync(this.folder, { recursive: true });
    nothingOpenedSince(this.#before);
  }
}

const memory = (socket: string) => ["-f", "-U", socket, "memory", `${SECTORS * 512}`];

for (const transport of TRANSPORTS) {
  Deno.test(`${transport}: nbdkit's memory is a disk`, async () => {
    await using server = await Server.start("nbdkit", memory);
    await using vm = await server.open({}, { transport });
    const guest = new BlockGuest(vm);
    assert.equal(vm.registers.readConfig(0, 4), SECTORS);
    assert.deepEqual(await guest.read(0, 8), new Uint8Array(4096));
    await guest.write(5, pattern(300 * 512, 3));
    assert.deepEqual(await guest.read(5, 300), pattern(300 * 512, 3));
    assert.equal(await guest.status(BlkType.FLUSH), OK);
    assert.equal(
      await guest.status(BlkType.WRITE_ZEROES, blockRange(8, 2), blockRange(20, 4, 1)),
      OK,
    );
    assert.deepEqual(await guest.read(8, 2), new Uint8Array(1024));
    assert.equal(await guest.status(BlkType.DISCARD, blockRange(100, 8)), OK);
    assert.equal((await guest.request(readRequest(SECTORS - 1, 2))).status, IOERR);
  });
}

Deno.test("a segment may be as long as its request", async () => {
  const sectors = 2 ** 14;
  await using server = await Server.start(
    "nbdkit",
    (socket) => ["-f", "-U", socket, "memory", `${sectors * 512}`],
  );
  await using vm = await server.open();
  const guest = new BlockGuest(vm);
  const data = pattern(2 ** 22, 9);
  await guest.write(3, data);
  assert.deepEqual(await guest.read(3, 2 ** 13), data);
  assert.deepEqual(await guest.read(0, 3), new Uint8Array(3 * 512));
  assert.equal(vm.stats.errors, 0);
});

Deno.test("a qcow2 behind qemu-nbd is a disk, and keeps what was written", async () => {
  const words = (socket: string, folder: string) => {
    const image = `${folder}/image.qcow2`;
    const { success } = new Deno.Command("qemu-img", {
      args: ["create", "-q", "-f", "qcow2", image, `${SECTORS * 512}`],
    }).outputSync();
    assert(success);
    return ["-f", "qcow2", "-k", socket, "-t", "-x", "root", "--discard=unmap", image];
  };
  await using server = await Server.start("qemu-nbd", words);
  const uri = `nbd+unix:///root?socket=${server.socket}`;
  for (const config of [{ nbd: uri }, { export: "root" }]) {
    await using vm = await server.open(config);
    const guest = new BlockGuest(vm);
    const data = await guest.read(64, 128);
    if ("nbd" in config) await guest.write(64, pattern(128 * 512, 7));
    else assert.deepEqual(data, pattern(128 * 512, 7));
    assert.equal(await guest.status(BlkType.FLUSH), OK);
  }
  await assert.rejects(server.open({ export: "rot" }), /no export of that name|refuses the export/);
});

Deno.test("many requests are under way at once, larger than the socket's buffers", async () => {
  await using server = await Server.start("nbdkit", memory);
  await using vm = await server.open();
  const guest = new BlockGuest(vm);
  const data = pattern(SECTORS * 512, 9);
  const part = (i: number) => data.slice(i * 128 * 512, (i + 1) * 128 * 512);
  const indices = Array.from({ length: 32 }, (_, i) => i);
  const writes = await guest.requests(indices.map((i) => writeRequest(i * 128, part(i))));
  assert(writes.every(({ status }) => status === OK));
  const reads = await guest.requests(indices.map((i) => readRequest(i * 128, 128)));
  reads.forEach((answer, i) => {
    assert.equal(answer.status, OK);
    assert.deepEqual(answer.data, part(i));
  });
});

Deno.test("any sequence of reads and writes reads like an array of bytes", async () => {
  await using server = await Server.start("nbdkit", memory);
  await using vm = await server.open();
  const guest = new BlockGuest(vm);
  const model = new Uint8Array(SECTORS * 512);
  const operation = fc.record({
    sector: fc.nat(SECTORS - 300),
    sectors: fc.integer({ min: 1, max: 300 }),
    seed: fc.option(fc.nat(255)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 12 }), async (operations) => {
      for (const { sector, sectors, seed } of operations) {
        if (seed === null) {
          const expected = model.slice(sector * 512, (sector + sectors) * 512);
          assert.deepEqual(await guest.read(sector, sectors), expected);
        } else {
          await guest.write(sector, pattern(sectors * 512, seed));
          model.set(pattern(sectors * 512, seed), sector * 512);
        }
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("a read-only export is a read-only disk", async () => {
  await using server = await Server.start("nbdkit", (socket) => ["-r", ...memory(socket)]);
  await using vm = await server.open();
  const guest = new BlockGuest(vm);
  assert.equal((await guest.request(writeRequest(0, new Uint8Array(512)))).status, IOERR);
  await guest.read(0, 1);
  await assert.rejects(server.open({ readonly: false }), /read-only/);
});

Deno.test("the server's own errors are the request's", async () => {
  await using server = await Server.start(
    "nbdkit",
    (socket) => ["--filter=error", ...memory(socket), "error=ENOSPC", "error-pwrite-rate=100%"],
  );
  await using vm = await server.open();
  const guest = new BlockGuest(vm);
  assert.equal((await guest.request(writeRequest(0, new Uint8Array(512)))).status, IOERR);
  assert.match(vm.events[0]!.message!, /ENOSPC/);
  await guest.read(0, 1);
});

for (const [name, timeout] of [["dies", 30], ["stops", 0.3]] as const) {
  Deno.test(`a server that ${name}: what is under way and what comes fails, with an event`, async () => {
    await using server = await Server.start("nbdkit", memory);
    await using vm = await server.open({ timeout });
    const guest = new BlockGuest(vm);
    await guest.read(0, 1);
    await server.stop();
    const asked = guest.requests([readRequest(0, 8), writeRequest(0, pattern(65536, 1))]);
    assert.equal(vm.stats.in_flight, 2);
    if (name === "dies") server.kill();
    const answers = await asked;
    assert.deepEqual(answers.map(({ status }) => status), [IOERR, IOERR]);
    assert.match(vm.events[0]!.message!, /the NBD server is gone/);
    assert.equal((await guest.request(readRequest(0, 8))).status, IOERR);
    assert.equal(await guest.status(BlkType.FLUSH), IOERR);
    vm.reset();
    vm.start();
    assert.equal((await guest.request(readRequest(0, 8))).status, IOERR);
    assert.equal(vm.stats.in_flight, 0);
  });
}

Deno.test("a reset while the server sleeps ends", async () => {
  await using server = await Server.start("nbdkit", memory);
  await using vm = await server.open({ timeout: 1 });
  await server.stop();
  for (let i = 0; i < 20; i++) vm.driver(0).add(writeRequest(i * 128, pattern(65536, 1)));
  vm.kick(0);
  vm.poll();
  assert.equal(vm.stats.in_flight, 20);
  vm.reset(10_000);
  assert.equal(vm.stats.in_flight, 0);
});

/** Serves one connection: each reply once so many bytes have come; then hangs up. */
async function liar(
  replies: readonly (readonly [after: number, reply: Uint8Array])[],
  work: (config: Record<string, unknown>) => Promise<void>,
): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-nbd-" });
  const path = `${folder}/socket`;
  using listener = Deno.listen({ transport: "unix", path });
  const serve = (async () => {
    using connection = await listener.accept();
    for (const [after, reply] of replies) {
      for (let left = after; left > 0;) {
        const count = await connection.read(new Uint8Array(left));
        if (count === null) return;
        left -= count;
      }
      await connection.write(reply);
    }
  })();
  try {
    await work({ nbd: `unix:${path}`, timeout: 5 });
  } finally {
    await serve;
    Deno.removeSync(folder, { recursive: true });
  }
}

function big(...fields: readonly (readonly [bytes: 2 | 4 | 8, value: number | bigint])[]) {
  const bytes: number[] = [];
  for (const [size, value] of fields) {
    for (let i = size; i-- > 0;) bytes.push(Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));
  }
  return Uint8Array.from(bytes);
}

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const greeting = join(new TextEncoder().encode("NBDMAGICIHAVEOPT"), big([2, 3]));
const option = (type: number, data: Uint8Array) =>
  join(big([8, 0x3e889045565a9n], [4, 7], [4, type], [4, data.length]), data);
const info = (size: number | bigint, flags: number) =>
  option(3, big([2, 0], [8, size], [2, flags]));
const ack = option(1, new Uint8Array(0));
/** The client's flags and its NBD_OPT_GO without a name. */
const OPTION_BYTES = 4 + 24;

Deno.test("what is no NBD server, or lies while it negotiates, is refused", async () => {
  const bare: [Uint8Array, RegExp][] = [
    [new TextEncoder().encode("HTTP/1.1 400 Bad Request\r\n\r\n"), /no NBD server/],
    [join(greeting.slice(0, 16), big([2, 0])), /no NBD server/],
    [greeting.slice(0, 5), /hung up/],
  ];
  for (const [reply, message] of bare) {
    await liar([[0, reply]], async (config) => {
      await assert.rejects(VirtioMachine.open(disk, config), message);
    });
  }
  const blocks = option(3, big([2, 3], [4, 3], [4, 4], [4, 5]));
  const options: [Uint8Array, RegExp][] = [
    [ack, /does not describe/],
    [new Uint8Array(64), /breaks the protocol/],
    [option(2 ** 31 + 5, new Uint8Array(3)), /TLS/],
    [join(info(2n ** 63n, 1), ack), /too large/],
    [big([8, 0x3e889045565a9n], [4, 7], [4, 3], [4, 2 ** 31]), /breaks/],
    [join(...new Array(65).fill(info(512, 1))), /no end/],
    [join(blocks, info(512, 1), ack), /blocks of 3/],
  ];
  for (const [reply, message] of options) {
    await liar([[0, greeting], [OPTION_BYTES, reply]], async (config) => {
      await assert.rejects(VirtioMachine.open(disk, config), message);
    });
  }
});

Deno.test("replies that nobody asked for end the connection, and nothing else", async () => {
  const reply = (error: number, serial: number, tag: number) =>
    big([4, 0x67446698], [4, error], [4, serial], [4, tag]);
  const lies = [
    reply(0, 99, 255),
    reply(0, 1, 99_999),
    new Uint8Array(16),
    join(reply(0, 1, 0), new Uint8Array(512), reply(0, 1, 0)),
  ];
  for (const lie of lies) {
    const script = [[0, greeting], [OPTION_BYTES, join(info(SECTORS * 512, 1), ack)], [
      2 * REQUEST_BYTES,
      lie,
    ]] as const;
    await liar(script, async (config) => {
      await using vm = await VirtioMachine.open(disk, config);
      const guest = new BlockGuest(vm);
      for (let i = 0; i < 2; i++) vm.driver(0).add(readRequest(0, 1));
      vm.kick(0);
      await vm.until(() => vm.stats.in_flight === 0 && vm.events.length > 0);
      assert.match(vm.events[0]!.message!, /what was not asked/);
      vm.driver(0).collect();
      assert.equal((await guest.request(readRequest(0, 1))).status, IOERR);
    });
  }
});

Deno.test("addresses of servers", () => {
  assert.deepEqual(parseNbdAddress("unix:/a b"), { path: "/a b", name: "" });
  assert.deepEqual(parseNbdAddress("nbd+unix:///?socket=/s"), { path: "/s", name: "" });
  assert.deepEqual(parseNbdAddress("nbd+unix:///a%20b?socket=%2Fs"), { path: "/s", name: "a b" });
  assert.deepEqual(parseNbdAddress("nbd://localhost/x?socket=/s"), { path: "/s", name: "x" });
  for (
    const text of [
      "",
      "unix:",
      "unix:relative",
      "/path",
      "nbd://host:10809/x",
      "nbd+unix:///%zz?socket=/s",
    ]
  ) {
    assert.throws(() => parseNbdAddress(text), /no address of a unix socket/);
  }
});

Deno.test("a disk on a server has no path, overlay or cache; nobody there is an error", async () => {
  for (const key of ["path", "overlay", "cache"]) {
    const config = { nbd: "unix:/nobody", [key]: key === "cache" ? "none" : "/x" };
    await assert.rejects(VirtioMachine.open(disk, config), new RegExp(`^DocumentError: ${key}`));
  }
  await assert.rejects(VirtioMachine.open(disk, { nbd: "unix:/nobody" }), { code: "ENOENT" });
});
