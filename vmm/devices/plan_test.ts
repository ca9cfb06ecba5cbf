import { deepEqual, equal, throws } from "node:assert/strict";
import { DocumentError } from "../../ffi/errors.ts";
import type { DeviceEntry } from "../document.ts";
import { planDevices } from "./plan.ts";

const plan = (...entries: readonly Record<string, unknown>[]) =>
  planDevices(entries as DeviceEntry[], {
    rtc: { lowMemory: 0, highMemory: 0, cpus: 1 },
    acpi: false,
    firmware: false,
    testDevice: false,
  });

Deno.test("serial ports are COM1 to COM4 with their interrupts, unless the document says else", () => {
  const serial = { type: "serial" };
  const configs = plan(serial, serial, serial, serial).slice(0, 4).map(({ config }) => config);
  deepEqual(configs.map(({ port, irq }) => [port, irq]), [
    [0x3f8, 4],
    [0x2f8, 3],
    [0x3e8, 4],
    [0x2e8, 3],
  ]);
  const [own] = plan({ type: "serial", name: "log", port: 0xfff8, irq: 23, colour: "red" });
  deepEqual(own, {
    name: "log",
    type: "serial",
    config: { port: 0xfff8, irq: 23, colour: "red" },
  });
  equal(plan({ type: "serial", port: 0x2e8 })[0]!.config.irq, 3);
});

Deno.test("numbers that a device cannot have are named with its name and key", () => {
  const cases: [Record<string, unknown>, string][] = [
    [{ type: "serial", port: -1 }, '"port" is -1'],
    [{ type: "serial", port: 0xfff9 }, '"port" is 65529'],
    [{ type: "serial", port: 1.5 }, '"port" is 1.5'],
    [{ type: "serial", port: "COM1" }, '"port" is "COM1"'],
    [{ type: "serial", port: [1016] }, '"port" is [1016]'],
    [{ type: "serial", port: true }, '"port" is true'],
    [{ type: "serial", port: NaN }, '"port" is null'],
    [{ type: "serial", port: 1e308 }, '"port" is 1e+308'],
    [{ type: "serial", irq: -1 }, '"irq" is -1'],
    [{ type: "serial", irq: 24 }, '"irq" is 24'],
    [{ type: "serial", irq: 4.5 }, '"irq" is 4.5'],
    [{ type: "serial", irq: 2 ** 53 }, '"irq" is 9007199254740992'],
    [{ type: "serial", irq: "4" }, '"irq" is "4"'],
    [{ type: "debug_console", port: 0x1_0000 }, '"port" is 65536'],
    [{ type: "debug_console", port: null }, '"port" is null'],
    [{ type: "debug_console", port: {} }, '"port" is {}'],
  ];
  for (const [entry, what] of cases) {
    const most = entry.type !== "serial" ? 0xffff : "irq" in entry ? 23 : 0xfff8;
    throws(() => plan(entry), {
      name: "DocumentError",
      message: `VM document, ${entry.type}0: ${what}, not a number from 0 to ${most}`,
    });
  }
});

Deno.test("a name is one device's, the board's own included", () => {
  const cases = [
    [{ type: "serial", name: "rtc" }],
    [{ type: "serial", name: "serial1" }, { type: "serial" }],
    [{ type: "pvpanic", name: "i8042" }],
    [{ type: "module", name: "x", module: "file:///a" }, { type: "serial", name: "x" }],
  ];
  for (const entries of cases) throws(() => plan(...entries), /" is there twice$/);
});

Deno.test("a fifth serial port needs a port of its own, fw_cfg something to hand out", () => {
  const serial = { type: "serial" };
  throws(() => plan(serial, serial, serial, serial, serial), {
    name: "DocumentError",
    message: "VM document, serial4: a PC has 4 serial ports",
  });
  throws(() => plan({ type: "fw_cfg" }), DocumentError);
  throws(() => plan({ type: "fw_cfg", items: 7, files: "x" }), /fw_cfg0: fw_cfg is made with/);
});

Deno.test("a device of the document takes the place of the board's own", () => {
  const facts = { rtc: { cpus: 2 }, acpi: false, firmware: false, testDevice: false };
  const entries = [
    { type: "pvpanic", name: "crash" },
    { type: "rtc", name: "clock" },
    { type: "debug_console", name: "log", port: 0x402 },
  ];
  const plans = planDevices(entries, facts);
  const named = (type: string) => plans.filter((p) => p.type === type).map(({ name }) => name);
  deepEqual([named("pvpanic"), named("rtc")], [["crash"], ["clock"]]);
  deepEqual(plans.find(({ name }) => name === "clock")?.config, { cpus: 2 });
  deepEqual(named("debug_console"), ["log", "debug_console"]); // at two places
});

Deno.test("firmware logs to a console of its own where it has no serial port for its screen", () => {
  const facts = {
    ...{ rtc: { lowMemory: 0, highMemory: 0, cpus: 1 }, acpi: true },
    ...{ firmware: true, testDevice: false },
  };
  const logs = (...types: string[]) =>
    planDevices(types.map((type) => ({ type })), facts).some(({ config }) => config.port === 0x402);
  deepEqual([logs(), logs("rng"), logs("serial")], [true, true, false]);
});
