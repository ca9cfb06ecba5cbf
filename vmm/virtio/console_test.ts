import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { closeFile } from "../../ffi/files.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { connectUnixSocket } from "../../ffi/unix_socket.ts";
import { ConsoleGuest, portQueue } from "../../tests/console_guest.ts";
import { DescFlag } from "../../tests/virtio_driver.ts";
import {
  TRANSPORTS,
  VirtioMachine,
  type VirtioMachineOptions,
} from "../../tests/virtio_machine.ts";
import { ConsoleFeature, ControlEvent } from "./console/state.ts";
import { virtioConsole } from "./console.ts";
import { Status } from "./status.ts";
import type { Virtqueue } from "./virtio_device.ts";

const { DEVICE_READY, DEVICE_ADD, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME } =
  ControlEvent;
const BAD_ID = 0xffff_ffff;
const EAGAIN = 11;
const encoder = new TextEncoder();
/** Descriptors that are watched while no client is there: six queues' and the listener. */
const WATCHES = 7;

interface Opened extends AsyncDisposable {
  readonly vm: VirtioMachine;
  readonly guest: ConsoleGuest;
  readonly folder: string;
}

async function open(
  config: (folder: string) => Record<string, unknown> = () => ({}),
  options: VirtioMachineOptions = {},
): Promise<Opened> {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-console-" });
  const vm = await VirtioMachine.open(virtioConsole, config(folder), options);
  return {
    vm,
    guest: new ConsoleGuest(vm),
    folder,
    async [Symbol.asyncDispose]() {
      await vm[Symbol.asyncDispose]();
      const left = [...Deno.readDirSync(folder)].filter(({ isFile }) => !isFile);
      assert.deepEqual(left, [], "a socket's file is left");
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

/** Sets a port up as Linux does, and forgets what the device says to that. */
function openPort({ guest }: Opened, id: number): void {
  guest.lendControl(8);
  guest.control(
    { id: BAD_ID, event: DEVICE_READY, value: 1 },
    { id, event: PORT_READY, value: 1 },
    { id, event: PORT_OPEN, value: 1 },
  );
  guest.controlled();
}

const socketPort = (folder: string) => ({
  ports: [{ name: "agent", mode: "socket", path: `${folder}/agent` }],
});

for (const transport of TRANSPORTS) {
  const test = (name: string, fn: () => Promise<void>) => Deno.test(`${name} (${transport})`, fn);

  test("what the guest writes to its console comes out in order, whatever its pieces", async () => {
    await using it = await open(undefined, { transport });
    it.guest.send(0, "Hello, ", "", "world", "\n");
    assert.equal(String.fromCharCode(...it.vm.output), "Hello, world\n");
    assert.equal(it.guest.sent(0), 4);
    assert.ok(it.vm.takeInterrupt(1));
    assert.equal(it.vm.stats.transmitted, 13);
  });

  test("input goes to a console that the guest has opened, as far as it has buffers", async () => {
    await using it = await open(undefined, { transport });
    const input = encoder.encode("typed by a person");
    const { main } = it.vm.threads;
    it.guest.lend(0, 1, 5);
    assert.equal(main.receive!(input), 0, "it is not open yet");
    const before = it.vm.rearms;
    openPort(it, 0);
    assert.equal(it.vm.rearms, before + 1);
    assert.equal(main.receive!(input), 5);
    assert.ok(it.vm.takeInterrupt(0));
    assert.equal(main.receive!(input.subarray(5)), 0);
    it.guest.lend(0, 4, 5);
    assert.equal(it.vm.rearms, before + 2);
    assert.equal(main.receive!(input.subarray(5)), 12);
    assert.equal(it.guest.received(0), "typed by a person");
    assert.equal(it.vm.stats.received, 17);
  });

  test("a driver without MULTIPORT has a console all the same, and no other queue", async () => {
    const without = [ConsoleFeature.MULTIPORT];
    await using it = await open(socketPort, { transport, without });
    it.guest.lend(0, 1);
    assert.equal(it.vm.threads.main.receive!(encoder.encode("in")), 2);
    it.guest.send(0, "out");
    assert.equal(it.guest.received(0), "in");
    assert.equal(String.fromCharCode(...it.vm.output), "out");
    it.guest.lendControl(2);
    it.guest.control({ id: BAD_ID, event: DEVICE_READY, value: 1 });
    it.guest.send(1, "x");
    assert.deepEqual(it.guest.controlled(), []);
    assert.equal(it.guest.sent(1), 0);
  });

  test("the guest is told of its ports in the order that Linux wants", async () => {
    const ports = [{ name: "agent" }, { name: "log", mode: "write", fd: 2 }];
    await using it = await open(() => ({ cols: 132, rows: 43, ports }), { transport });
    it.guest.lendControl(20);
    it.guest.control({ id: BAD_ID, event: DEVICE_READY, value: 1 });
    assert.deepEqual(
      it.guest.controlled(),
      [0, 1, 2].map((id) => ({ id, event: DEVICE_ADD, value: 1 })),
    );
    it.guest.control(...[0, 1, 2].map((id) => ({ id, event: PORT_READY, value: 1 })));
    assert.deepEqual(it.guest.controlled(), [
      { id: 0, event: CONSOLE_PORT, value: 1 },
      { id: 0, event: RESIZE, value: 0, data: Uint8Array.of(132, 0, 43, 0) },
      { id: 0, event: PORT_OPEN, value: 1 },
      { id: 1, event: PORT_NAME, value: 1, data: encoder.encode("agent") },
      { id: 2, event: PORT_NAME, value: 1, data: encoder.encode("log") },
      { id: 2, event: PORT_OPEN, value: 1 },
    ]);
    assert.ok(it.vm.takeInterrupt(2));
  });

  test("messages wait for buffers, and say how things are then", async () => {
    await using it = await open(socketPort, { transport });
    for (let i = 0; i < 1000; i++) {
      it.guest.control({ id: BAD_ID, event: DEVICE_READY, value: 1 });
      it.guest.control({ id: 1, event: PORT_READY, value: 1 });
      it.vm.threads.main.action!("size", `${80 + i}x25`);
    }
    it.guest.lendControl(30);
    assert.deepEqual(it.guest.controlled(), [
      { id: 0, event: DEVICE_ADD, value: 1 },
      { id: 1, event: DEVICE_ADD, value: 1 },
      { id: 1, event: PORT_NAME, value: 1, data: encoder.encode("agent") },
    ]);
  });

  test("a client that came and went before the guest could be told is none", async () => {
    await using it = await open(socketPort, { transport });
    it.guest.lendControl(2);
    it.guest.control(
      { id: BAD_ID, event: DEVICE_READY, value: 1 },
      { id: 1, event: PORT_READY, value: 1 },
    );
    for (let i = 0; i < 3; i++) {
      const client = connectUnixSocket(`${it.folder}/agent`);
      await it.vm.until(() => it.vm.loop.watched.length > WATCHES);
      closeFile(client);
      await it.vm.until(() => it.vm.loop.watched.length === WATCHES);
    }
    it.guest.lendControl(8);
    const opened = it.guest.controlled().filter(({ event }) => event === PORT_OPEN);
    assert.deepEqual(opened, [{ id: 1, event: PORT_OPEN, value: 0 }]);
  });

  test("a new window size changes the configuration, and tells the console", async () => {
    await using it = await open(() => ({ cols: 80, rows: 25 }), { transport });
    const { registers, threads } = it.vm;
    assert.equal(registers.readConfig(0, 2), 80);
    assert.equal(registers.readConfig(2, 2), 25);
    assert.equal(registers.readConfig(4, 4), 1);
    openPort(it, 0);
    assert.equal(threads.main.action!("size", "100x50"), true);
    assert.ok(it.vm.takeInterrupt(-1));
    assert.equal(registers.readConfig(0, 4), 100 + 50 * 0x1_0000);
    assert.deepEqual(it.guest.controlled(), [
      { id: 0, event: RESIZE, value: 0, data: Uint8Array.of(100, 0, 50, 0) },
    ]);
    for (const value of ["", "80", "0x25", "80x0", "80x65536", "80x25x1", "-1x5", "99999999x1"]) {
      assert.equal(threads.main.action!("size", value), false, value);
    }
    assert.equal(threads.main.action!("colour", "80x25"), false);
    it.vm.reset();
    assert.equal(registers.readConfig(0, 2), 100, "a reset does not change the window");
  });

  test("an emergency write needs no queue, nor a driver", async () => {
    await using it = await open(undefined, { transport, start: false });
    for (const byte of encoder.encode("oops")) it.vm.registers.writeConfig(8, 4, byte);
    it.vm.registers.writeConfig(0, 2, 7);
    assert.equal(String.fromCharCode(...it.vm.output), "oops");
    assert.equal(it.vm.registers.readConfig(0, 2), 0);
  });

  test("a console whose reader is blocked keeps the guest's buffers, and goes on where it was", async () => {
    await using it = await open(undefined, { transport });
    const flood = new Uint8Array(100_000).map((_, i) => i % 253);
    it.vm.outputReady = false;
    it.guest.send(0, flood, "behind");
    assert.equal(it.vm.output.length, 0);
    assert.equal(it.guest.sent(0), 0);
    it.vm.outputReady = true;
    it.vm.threads.io.wake!();
    it.vm.poll();
    assert.equal(it.guest.sent(0), 2);
    assert.deepEqual(
      Uint8Array.from(it.vm.output),
      Uint8Array.from([...flood, ...encoder.encode("behind")]),
    );
  });

  test("a client of a port's socket and a program of the guest hear each other", async () => {
    await using it = await open(socketPort, { transport });
    openPort(it, 1);
    it.guest.lend(1, 4);
    const client = connectUnixSocket(`${it.folder}/agent`);
    try {
      await it.vm.until(() =>
        it.guest.controlled().some((m) => m.event === PORT_OPEN && m.value === 1)
      );
      put(client, "to the guest");
      await it.vm.until(() => it.vm.stats["agent.received"] === 12);
      assert.equal(it.guest.received(1), "to the guest");
      assert.ok(it.vm.takeInterrupt(portQueue(1)));
      it.guest.send(1, "to ", "the client");
      assert.equal(it.guest.sent(1), 2);
      assert.equal(take(client), "to the client");
    } finally {
      closeFile(client);
    }
    await it.vm.until(() =>
      it.guest.controlled().some((m) => m.event === PORT_OPEN && m.value === 0)
    );
    it.guest.send(1, "nobody");
    assert.equal(it.guest.sent(1), 1);
    assert.equal(it.vm.stats["agent.discarded"], 6);
  });

  test("a port's input waits until the guest has opened it, and while it has no buffers", async () => {
    await using it = await open((folder) => {
      Deno.writeTextFileSync(`${folder}/in`, "0123456789");
      return { ports: [{ name: "in", mode: "read", path: `${folder}/in` }] };
    }, { transport });
    it.guest.lend(1, 1, 4);
    assert.equal(it.guest.received(1), "");
    openPort(it, 1);
    assert.equal(it.guest.received(1), "0123");
    it.guest.lendControl(4);
    it.guest.lend(1, 1, 4);
    assert.equal(it.guest.received(1), "4567");
    assert.deepEqual(it.guest.controlled(), []);
    it.guest.lend(1, 2, 4);
    assert.equal(it.guest.received(1), "89");
    assert.deepEqual(it.guest.controlled(), [{ id: 1, event: PORT_OPEN, value: 0 }]);
  });

  test("a flood to a client that does not read holds that port only, and loses nothing", async () => {
    await using it = await open(socketPort, { transport });
    openPort(it, 1);
    const client = connectUnixSocket(`${it.folder}/agent`);
    try {
      await it.vm.until(() => it.guest.controlled().length > 0);
      const flood = new Uint8Array(100_000).map((_, i) => i % 253);
      let added = 0;
      while (it.vm.driver(5).pending === 0 && added < 100) {
        it.guest.send(1, flood);
        added++;
        it.guest.sent(1);
      }
      assert.equal(it.vm.driver(5).pending, 1);
      assert.equal(it.vm.threads.io.unsent!(), true);
      it.guest.send(0, "the console goes on");
      assert.equal(String.fromCharCode(...it.vm.output), "the console goes on");

      const got: Uint8Array[] = [];
      let total = 0;
      while (total < added * flood.length) {
        const bytes = new Uint8Array(65536);
        const count = Number(libc.read(client, bytes, 65536n));
        if (count > 0) {
          got.push(bytes.subarray(0, count));
          total += count;
        } else {
          assert.equal(errno(), EAGAIN);
          it.vm.poll(100);
        }
      }
      const whole = new Uint8Array(total);
      got.reduce((at, piece) => (whole.set(piece, at), at + piece.length), 0);
      assert.ok(whole.every((byte, i) => byte === (i % flood.length) % 253));
      await it.vm.until(() => it.vm.driver(5).collect().length === 1);
      assert.equal(it.vm.threads.io.unsent!(), false);
    } finally {
      closeFile(client);
    }
  });

  test("a reset in the middle of everything leaves a device that works", async () => {
    await using it = await open(socketPort, { transport });
    const client = connectUnixSocket(`${it.folder}/agent`);
    try {
      openPort(it, 1);
      it.vm.outputReady = false;
      it.guest.send(0, "lost");
      it.vm.reset();
      it.vm.outputReady = true;
      it.vm.start();
      it.guest.send(0, "found");
      assert.equal(String.fromCharCode(...it.vm.output), "found");
      put(client, "still here");
      it.vm.poll(1);
      assert.equal(it.vm.stats["agent.received"], 0);
      it.guest.lend(1, 1);
      openPort(it, 1);
      await it.vm.until(() => it.vm.stats["agent.received"] === 10);
      assert.equal(it.guest.received(1), "still here");
    } finally {
      closeFile(client);
    }
  });

  test("a control buffer that is too small breaks the device, until it is reset", async () => {
    await using it = await open(undefined, { transport });
    it.guest.lendControl(1, 7);
    it.guest.control({ id: BAD_ID, event: DEVICE_READY, value: 1 });
    assert.notEqual(it.vm.status & Status.DEVICE_NEEDS_RESET, 0);
    assert.ok(it.vm.events.some(({ kind }) => kind === "needs-reset"));
    it.vm.reset();
    it.vm.start();
    it.guest.send(0, "well again");
    assert.equal(String.fromCharCode(...it.vm.output), "well again");
  });

  test("whatever control messages come, the device answers a right one, and its memory is bounded", async () => {
    const message = fc.record({
      id: fc.oneof(fc.nat(9), fc.constant(BAD_ID), fc.nat(BAD_ID)),
      event: fc.oneof(fc.nat(9), fc.nat(0xffff)),
      value: fc.oneof(fc.nat(2), fc.nat(0xffff)),
    });
    await using it = await open((folder) => ({
      ...socketPort(folder),
      ports: [...socketPort(folder).ports, { name: "none" }],
    }), { transport });
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 32 }), fc.nat(4), async (messages, lent) => {
        it.vm.reset();
        it.vm.start();
        it.guest.lendControl(lent);
        for (const one of messages) it.guest.control(one);
        assert.equal(it.vm.status & Status.DEVICE_NEEDS_RESET, 0);
        it.guest.lendControl(24 - lent);
        it.guest.controlled();
        it.guest.lendControl(8);
        it.guest.control({ id: BAD_ID, event: DEVICE_READY, value: 1 });
        assert.deepEqual(
          it.guest.controlled().filter(({ event }) => event === DEVICE_ADD),
          [0, 1, 2].map((id) => ({ id, event: DEVICE_ADD, value: 1 })),
        );
        await Promise.resolve();
      }),
      { numRuns: 200 },
    );
  });
}

Deno.test("a document's ports are checked", () => {
  const take = (entry: unknown) => v.safeParse(virtioConsole.schema!, entry).success;
  const port = (more: object) => ({ ports: [{ name: "p", ...more }] });
  assert.ok(take({}));
  assert.ok(take(port({ "x-new": 1 })));
  assert.ok(take(port({ mode: "read", fd: 0 })));
  const wrong = [
    { cols: 0 },
    { rows: 65536 },
    { ports: {} },
    port({ name: "" }),
    port({ name: "a b" }),
    port({ name: "x".repeat(65) }),
    port({ path: "/x" }),
    port({ mode: "socket" }),
    port({ mode: "socket", fd: 1 }),
    port({ mode: "socket", path: "/x\0" }),
    port({ mode: "read", fd: 1 }),
    port({ mode: "write", fd: 0 }),
    port({ mode: "write", fd: 7 }),
    port({ mode: "read", fd: 0, path: "/x" }),
    { ports: [{ name: "a" }, { name: "a" }] },
    { ports: Array.from({ length: 8 }, (_, i) => ({ name: `p${i}` })) },
  ];
  for (const entry of wrong) assert.ok(!take(entry), JSON.stringify(entry));
});

function put(fd: number, text: string): void {
  const bytes = encoder.encode(text);
  assert.equal(Number(libc.write(fd, bytes, BigInt(bytes.length))), bytes.length);
}

function take(fd: number): string {
  const bytes = new Uint8Array(4096);
  const count = Number(libc.read(fd, bytes, 4096n));
  return new TextDecoder().decode(bytes.subarray(0, Math.max(0, count)));
}

Deno.test("a guest that lends empty buffers for ever does not hold the main thread up", async () => {
  const MANY = 100_000;
  let popped = 0;
  /** Just before each chain is popped the guest makes one more available. */
  const mad: typeof virtioConsole = {
    ...virtioConsole,
    open(config, context) {
      const [first, ...others] = context.queues;
      const pop = () => {
        if (++popped < MANY) vm.driver(0).makeAvailable(0);
        return first!.pop();
      };
      const queue: Virtqueue = Object.create(first!, {
        ...{ pop: { value: pop }, push: { value: first!.push.bind(first) } },
        ...{ signal: { value: first!.signal.bind(first) }, size: { get: () => first!.size } },
      });
      return virtioConsole.open(
        config,
        Object.create(context, { queues: { value: [queue, ...others] } }),
      );
    },
  };
  await using vm = await VirtioMachine.open(mad, {}, { without: [ConsoleFeature.MULTIPORT] });
  vm.driver(0).setDescriptor(0, { address: 0, length: 0, flags: DescFlag.WRITE });
  assert.equal(vm.threads.main.receive!(encoder.encode("x")), 0);
  assert.ok(popped < 1000, `${popped} were popped`);
  assert.equal(vm.rearms, 1, "what was refused is offered again");
});
