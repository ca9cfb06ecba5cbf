import { deepEqual, equal } from "node:assert/strict";
import { DeviceTable } from "./device_table.ts";

Deno.test("numbers of the root's filesystem stay, others get bits of their own, also after a restart", () => {
  const devices = new DeviceTable(7);
  equal(devices.upper(0xffff_0001, 7), 0xffff_0001);
  equal(devices.upper(0, 9), 1 << 16);
  equal(devices.upper(5, 2 ** 33 + 1), (2 << 16) + 5);
  equal(devices.upper(0x8000_0000, 9), 0x8001_0000);
  const again = new DeviceTable(7);
  devices.all.forEach((device) => again.meet(device));
  equal(again.upper(5, 2 ** 33 + 1), (2 << 16) + 5);
  deepEqual(again.all, devices.all);
});

Deno.test("there may be more filesystems than bits", () => {
  const devices = new DeviceTable(0);
  for (let device = 1; device < 2 ** 16; device++) devices.meet(device);
  equal(devices.upper(1, 2 ** 16 - 1), 0xffff_0001);
  equal(devices.upper(1, 2 ** 16), 1);
});
