import assert from "node:assert/strict";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { testDevice } from "./test_device.ts";

const IOMEM = 0xff00_0000;

function open() {
  const machine = createDeviceContext(testDevice);
  const device = testDevice.open({}, machine.context);
  device.reset();
  return { machine, device };
}

Deno.test("test_device: port 0xe0 remembers four bytes at any width", () => {
  const { device } = open();
  access(device, 0xe0, 4, 0x12345678);
  assert.equal(access(device, 0xe0, 2), 0x5678);
  assert.equal(access(device, 0xe2, 2), 0x1234);
  assert.equal(access(device, 0xe3, 1), 0x12);
  access(device, 0xe1, 1, 0xff);
  assert.equal(access(device, 0xe0, 4), 0x1234ff78);
});

Deno.test("test_device: port 0xe8 shows the same bytes, and takes one at a time", () => {
  const { device } = open();
  access(device, 0xe8, 4, 0xcafebabe);
  assert.equal(access(device, 0xe0, 4), 0xcafebabe);
  assert.equal(device.ranges.find((range) => range.base === 0xe8)!.maxWidth, 1);
});

Deno.test("test_device: a page's address at 0xe4 is taken and changes nothing", () => {
  const { device, machine } = open();
  access(device, 0xe4, 4, 0xffff_f000);
  assert.deepEqual(machine.stops, []);
  assert.equal(access(device, 0xe4, 4), 0);
});

Deno.test("test_device: each port from 0x2000 drives an interrupt line", () => {
  const { device, machine } = open();
  for (let line = 0; line < 24; line++) {
    access(device, 0x2000 + line, 1, 1);
    assert.equal(machine.irqLevels.get(line), true);
    access(device, 0x2000 + line, 1, 0);
    assert.equal(machine.irqLevels.get(line), false);
  }
});

Deno.test("test_device: reset lets go of the lines and clears the scratch memory", () => {
  const { device, machine } = open();
  access(device, 0x2005, 1, 0xff);
  access(device, IOMEM + 0xfffc, 4, 0x11223344);
  machine.irqLog.length = 0;
  device.reset();
  assert.deepEqual(machine.irqLog, [[5, false]]);
  assert.equal(access(device, IOMEM + 0xfffc, 4), 0);
});

Deno.test("test_device: scratch memory keeps values of any width, also across words", () => {
  const { device } = open();
  access(device, IOMEM, 8, 0x11223344);
  access(device, IOMEM + 3, 4, 0xaabbccdd);
  assert.equal(access(device, IOMEM, 4), 0xdd223344);
  assert.equal(access(device, IOMEM + 4, 4), 0x00aabbcc);
  access(device, IOMEM + 0xffff, 1, 0x5a);
  assert.equal(access(device, IOMEM + 0xffff, 1), 0x5a);
});
