import assert from "node:assert/strict";
import { echo, EchoMode } from "../../tests/echo_device.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { TRANSPORTS, VirtioMachine } from "../../tests/virtio_machine.ts";
import { Status } from "./status.ts";
import { Feature } from "./virtio_device.ts";

const text = new TextEncoder();
const RUNNING = Status.ACKNOWLEDGE | Status.DRIVER | Status.FEATURES_OK | Status.DRIVER_OK;

for (const transport of TRANSPORTS) {
  const open = (options = {}) => VirtioMachine.open(echo, {}, { transport, ...options });

  Deno.test(`${transport}: a request is answered, with an interrupt`, async () => {
    await using vm = await open();
    assert.equal(vm.status, RUNNING);
    const driver = vm.driver(0);
    driver.add({ read: [text.encode("hello "), text.encode("world")], write: [4, 20] });
    assert.equal(vm.notify(0), true);
    vm.poll();
    const [used] = driver.collect();
    assert.equal(used?.written, 11);
    assert.deepEqual(used?.request.written(0), text.encode("HELL"));
    assert.deepEqual(used?.request.written(1).slice(0, 7), text.encode("O WORLD"));
    assert(vm.takeInterrupt(0));
    assert(!vm.takeInterrupt(0));
  });

  Deno.test(`${transport}: a queue of the vCPU's thread is worked in place`, async () => {
    await using vm = await open();
    vm.driver(1).add({ read: [text.encode("abc")], write: [3], indirect: true });
    vm.kick(1);
    const [used] = vm.driver(1).collect();
    assert.deepEqual(used?.request.written(), text.encode("ABC"));
    assert(vm.takeInterrupt(1));
  });

  Deno.test(`${transport}: without ioeventfd a notification that is an exit does the same`, async () => {
    await using vm = await open({ ioeventfd: false });
    assert.deepEqual(vm.attachments, []);
    vm.driver(0).add({ read: [text.encode("abc")], write: [3] });
    vm.kick(0);
    vm.poll();
    assert.equal(vm.driver(0).collect().length, 1);
  });

  Deno.test(`${transport}: without event indices flags say who wants to hear`, async () => {
    await using vm = await open({ without: [Feature.EVENT_IDX] });
    const driver = vm.driver(0);
    driver.availFlags = 1;
    driver.add({ read: [text.encode("abc")], write: [3] });
    vm.notify(0);
    vm.poll();
    assert.equal(driver.collect().length, 1);
    assert(!vm.takeInterrupt(0));
  });

  Deno.test(`${transport}: what is notified before DRIVER_OK is found at DRIVER_OK`, async () => {
    await using vm = await open({ start: false });
    vm.negotiate();
    vm.setUpQueues();
    for (const queue of [0, 1]) {
      vm.driver(queue).add({ read: [text.encode("abc")], write: [3] });
      vm.kick(queue);
      vm.poll();
      assert.equal(vm.driver(queue).collect().length, 0);
    }
    vm.registers.status = RUNNING;
    vm.poll();
    assert.equal(vm.driver(0).collect().length, 1);
    assert.equal(vm.driver(1).collect().length, 1);
  });

  Deno.test(`${transport}: KVM signals only what the I/O thread works, while the device runs`, async () => {
    await using vm = await open({ start: false });
    assert.deepEqual(vm.attachments, []);
    vm.start();
    assert.equal(vm.attachments.length, 1);
    vm.reset();
    assert.deepEqual(vm.attachments, []);
    vm.start();
    assert.equal(vm.attachments.length, 1);
  });

  Deno.test(`${transport}: a reset waits for what is in flight`, async () => {
    await using vm = await open();
    for (const mode of [EchoMode.KEEP, EchoMode.KEEP_LONGER]) {
      vm.registers.writeConfig(4, 1, mode);
      const driver = vm.driver(0);
      const before = driver.usedIdx;
      driver.add({ write: [64] });
      vm.kick(0);
      vm.poll();
      vm.registers.status = 0;
      assert.notEqual(vm.status, 0);
      vm.registers.status = RUNNING; // too early: not heard
      vm.waitForHolds();
      assert.equal(vm.status, 0);
      assert.equal(driver.usedIdx, before, "the chain of before the reset was not pushed");
      vm.start();
      assert.equal(vm.registers.readConfig(4, 1), EchoMode.ANSWER);
      vm.driver(0).add({ read: [text.encode("abc")], write: [3] });
      vm.kick(0);
      vm.poll();
      assert.equal(vm.driver(0).collect().length, 1);
    }
  });

  Deno.test(`${transport}: the machine's own reset waits for what is in flight too`, async () => {
    await using vm = await open();
    vm.registers.writeConfig(4, 1, EchoMode.KEEP);
    vm.driver(0).add({ write: [64] });
    vm.kick(0);
    vm.poll();
    vm.threads.main.reset();
    assert.notEqual(vm.status, 0);
    vm.poll();
    assert.equal(vm.status, 0);
  });

  Deno.test(`${transport}: a lying ring needs a reset, is told of, and a reset brings it back`, async () => {
    await using vm = await open();
    for (let count = 1; count <= 9; count++) {
      vm.takeInterrupt(-1);
      vm.driver(0).availIdx = 300;
      vm.kick(0);
      vm.poll();
      assert.equal(vm.status, RUNNING | Status.DEVICE_NEEDS_RESET);
      assert(vm.takeInterrupt(-1), "the driver is told");
      vm.driver(1).add({ write: [8] });
      vm.kick(1);
      assert.equal(vm.driver(1).usedIdx, 0, "no queue is worked");
      assert.equal(vm.stats.needs_resets, count);
      vm.reset();
      vm.start();
      vm.driver(0).add({ write: [8] });
      vm.kick(0);
      vm.poll();
      assert.equal(vm.driver(0).collect().length, 1);
    }
    assert.deepEqual(vm.events.map(({ kind, count }) => [kind, count]), [
      ["needs-reset", 1],
      ["needs-reset", 2],
      ["needs-reset", 4],
      ["needs-reset", 8],
    ]);
    assert.match(vm.events[0]!.message!, /Queue 0: the available ring's index went from 0 to 300/);
  });

  Deno.test(`${transport}: a broken protocol in any callback stays with the device`, async () => {
    await using vm = await open();
    vm.registers.writeConfig(5, 1, 9);
    assert.equal(vm.status, RUNNING | Status.DEVICE_NEEDS_RESET);
    vm.reset();
    vm.start();
    vm.threads.main.action!("fail");
    assert.equal(vm.status, RUNNING | Status.DEVICE_NEEDS_RESET);
    assert.deepEqual(vm.events.map(({ message }) => message), [
      "It must be zero",
      "It was told to",
    ]);
  });

  Deno.test(`${transport}: features must be offered, with VERSION_1, and stay`, async () => {
    await using vm = await open({ start: false });
    const { registers } = vm;
    const driven = Status.ACKNOWLEDGE | Status.DRIVER;
    const version1 = 1n << 32n;
    for (const features of [0n, 1n, version1 | 2n, version1 | 1n << 63n, version1 | 1n << 41n]) {
      registers.status = Status.ACKNOWLEDGE;
      registers.status = driven;
      registers.chosen = features;
      registers.status = driven | Status.FEATURES_OK;
      assert.equal(registers.status, driven, `${features}`);
      vm.reset();
    }
    registers.status = driven;
    registers.chosen = version1;
    registers.status = driven | Status.FEATURES_OK;
    registers.chosen = registers.offered;
    vm.setUpQueues();
    registers.status = RUNNING;
    vm.driver(0).add({ write: [8], indirect: true });
    vm.kick(0);
    vm.poll();
    assert.equal(registers.status, RUNNING | Status.DEVICE_NEEDS_RESET, "INDIRECT was not chosen");
  });

  Deno.test(`${transport}: a change of the configuration is told and counted`, async () => {
    await using vm = await open();
    const before = vm.registers.generation;
    assert(vm.threads.main.action!("change"));
    assert.equal(vm.registers.generation, before + 1);
    assert(vm.takeInterrupt(-1));
    assert(!vm.threads.main.action!("unknown"));
  });

  Deno.test(`${transport}: the configuration is read and written in any width`, async () => {
    await using vm = await open();
    const { registers } = vm;
    registers.writeConfig(0, 4, 0x1234_5678);
    assert.equal(registers.readConfig(0, 4), 0x1234_5678);
    assert.equal(registers.readConfig(1, 2), 0x3456);
    assert.equal(registers.readConfig(3, 4), 0x0700_0012, "misaligned");
    assert.equal(registers.readConfig(6, 4), 0xffff_0007, "over its end");
    assert.equal(registers.readConfig(0x80, 4), 0xffff_ffff, "past its end");
    registers.writeConfig(6, 4, 0);
    registers.writeConfig(0x80, 4, 0);
  });

  Deno.test(`${transport}: a closed device leaves no descriptor`, async () => {
    const before = openFiles();
    const vm = await open();
    vm.closeDevice();
    assert.deepEqual(vm.loop.watched, []);
    assert.deepEqual(vm.attachments, []);
    await vm[Symbol.asyncDispose]();
    nothingOpenedSince(before);
  });
}

Deno.test("pci: what is in flight is waited for when bus mastering ends, and nothing is begun", async () => {
  await using vm = await VirtioMachine.open(echo);
  vm.registers.writeConfig(4, 1, EchoMode.KEEP);
  const driver = vm.driver(0);
  driver.add({ write: [64] });
  vm.kick(0);
  vm.poll();
  driver.add({ write: [64] });
  vm.kick(0);
  vm.threads.vcpu.pci!.unmastered!();
  assert.deepEqual(vm.attachments, []);
  assert.notEqual(vm.status, 0, "the kernel still has the first");
  vm.waitForHolds();
  vm.poll();
  assert.equal(vm.status, 0);
  assert.equal(driver.usedIdx, 0);
  assert.equal(vm.stats.requests, 1);
  vm.start();
  vm.driver(0).add({ read: [text.encode("abc")], write: [3] });
  vm.kick(0);
  vm.poll();
  assert.equal(vm.driver(0).collect().length, 1);
});

Deno.test("pci: a driver without MSI-X gets the line, and ISR takes it back", async () => {
  await using vm = await VirtioMachine.open(echo, {}, { msix: false });
  vm.driver(0).add({ read: [text.encode("abc")], write: [3] });
  vm.kick(0);
  vm.poll();
  assert(vm.interrupts.level);
  assert.equal(vm.registers.takeIsr(), 1);
  assert(!vm.interrupts.level);
  vm.threads.main.action!("change");
  assert.equal(vm.registers.takeIsr(), 2);
  assert.equal(vm.registers.takeIsr(), 0);
});
