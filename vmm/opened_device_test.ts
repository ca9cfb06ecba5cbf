import { equal, throws } from "node:assert/strict";
import { createDeviceContext } from "../tests/fake_device_context.ts";
import { DocumentError, HostError, VmError } from "../ffi/errors.ts";
import { struct, u8 } from "../ffi/struct.ts";
import type { Device, DeviceType } from "./device.ts";
import { deviceFailure } from "./device_failure.ts";
import { openDevice } from "./opened_device.ts";

const handler = { read: () => 0, write() {} };
const range = { space: "pio", base: 0x300, size: 8, maxWidth: 1, handler };
const good = { ranges: [range], reset() {} };

/** Opens what a module without types might give. */
function opened(give: () => unknown): Device {
  const type: DeviceType = {
    type: "mine",
    state: struct("mine", { a: u8 }),
    open: () => give() as Device,
  };
  return openDevice(type, {}, { ...createDeviceContext(type).context, name: "mine0" });
}

Deno.test("a device is what has ranges and a reset", () => {
  equal(opened(() => good), good);
  equal(opened(() => ({ ...good, ranges: [] })).ranges.length, 0);
  const top = { space: "mmio", base: 2 ** 52 - 4, size: 4, maxWidth: 4, handler };
  equal(opened(() => ({ ...good, ranges: [top] })).ranges.length, 1);
});

Deno.test("what open gives and is no device is named by what is wrong with it", () => {
  const withRange = (more: Record<string, unknown>) => ({
    ...good,
    ranges: [range, { ...range, ...more }],
  });
  const cases: [unknown, RegExp][] = [
    [undefined, /^Device mine0: open\(\) gave no device$/],
    [null, /open\(\) gave no device/],
    [7, /open\(\) gave no device/],
    [Promise.resolve(good), /no array "ranges"/],
    [{ reset() {} }, /no array "ranges"/],
    [{ ...good, ranges: { length: 1 } }, /no array "ranges"/],
    [{ ranges: [] }, /no function "reset"/],
    [{ ...good, reset: 1 }, /no function "reset"/],
    [{ ...good, ranges: [null] }, /ranges\[0\] is not an object/],
    [withRange({ space: "io" }), /ranges\[1\]\.space is not "pio" or "mmio"/],
    [withRange({ base: NaN }), /ranges\[1\]\.base is NaN/],
    [withRange({ base: -1 }), /\.base is -1/],
    [withRange({ base: 0.5 }), /\.base is 0\.5/],
    [withRange({ base: "0x300" }), /\.base is 0x300/],
    [withRange({ base: 0x300n }), /\.base is 768/],
    [withRange({ base: 0x1_0000 }), /\.base is 65536/],
    [withRange({ space: "mmio", base: 2 ** 52 }), /\.base is 4503599627370496/],
    [withRange({ size: 0 }), /\.size is 0/],
    [withRange({ size: -8 }), /\.size is -8/],
    [withRange({ size: Infinity }), /\.size is Infinity/],
    [withRange({ size: 0xfd01 }), /\.size is 64769, which there is not from 0x300 on/],
    [withRange({ maxWidth: 0 }), /\.maxWidth is 0, not 1, 2 or 4/],
    [withRange({ maxWidth: 3 }), /\.maxWidth is 3/],
    [withRange({ maxWidth: 8 }), /\.maxWidth is 8/],
    [withRange({ handler: undefined }), /\.handler has no functions/],
    [withRange({ handler: { read: () => 0 } }), /\.handler has no functions/],
  ];
  for (const [value, message] of cases) {
    throws(() => opened(() => value), (error) => {
      equal(error instanceof DocumentError && message.test(error.message), true, String(error));
      return true;
    });
  }
});

Deno.test("what open throws is told with the device's name and the place in its code", () => {
  const thrown: [unknown, string][] = [
    [new Error("no luck"), "Device mine0: no luck"],
    ["text", "Device mine0: text"],
    [undefined, "Device mine0: undefined"],
    [null, "Device mine0: null"],
  ];
  for (const [value, message] of thrown) {
    throws(() =>
      opened(() => {
        throw value;
      }), (error) => {
      equal(error instanceof VmError && error.message, message);
      const place = (error as VmError).hint ?? "";
      equal(value instanceof Error, /look at file:.*opened_device_test\.ts:\d+:\d+$/.test(place));
      return true;
    });
  }
  const own = new DocumentError('VM document, mine0: "port" is missing');
  throws(() =>
    opened(() => {
      throw own;
    }), own);
});

Deno.test("what a device throws for people to read keeps its words and its hint", () => {
  const told = new VmError("clock0: the hour 25 is none", { hint: "0 to 23" });
  equal(deviceFailure("clock0", told), told);
  const host = deviceFailure("clock0", new HostError("open", 2, { path: "/x", hint: "make it" }));
  equal(host.message, "Device clock0: /x: open: no such file or directory (ENOENT)");
  equal(host.hint, "make it");
});
