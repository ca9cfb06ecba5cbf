import assert from "node:assert/strict";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { debugConsole } from "./debug_console.ts";
import { debugExit } from "./debug_exit.ts";

Deno.test("debug_exit: the low byte of any width ends the VM as its status", () => {
  for (const [width, value, status] of [[1, 7, 7], [2, 0x1ff, 255], [4, 0x12345600, 0]] as const) {
    const machine = createDeviceContext(debugExit);
    const device = debugExit.open({}, machine.context);
    device.reset();
    assert.deepEqual(machine.stops, []);
    access(device, 0xf4, width, value);
    assert.deepEqual(machine.stops, [["exit", status]]);
  }
});

Deno.test("debug_exit: reading it does nothing", () => {
  const machine = createDeviceContext(debugExit);
  const device = debugExit.open({}, machine.context);
  assert.equal(access(device, 0xf4, 4), 0);
  assert.deepEqual(machine.stops, []);
});

Deno.test("debug_console: bytes come out, and a read gives 0xe9", () => {
  const machine = createDeviceContext(debugConsole);
  const device = debugConsole.open({}, machine.context);
  device.reset();
  for (const char of "Hi\n") access(device, 0xe9, 1, char.charCodeAt(0));
  assert.equal(machine.text(), "Hi\n");
  assert.equal(access(device, 0xe9, 1), 0xe9);
});

Deno.test("debug_console: its port can be another one", () => {
  const machine = createDeviceContext(debugConsole);
  const device = debugConsole.open({ port: 0x402 }, machine.context);
  access(device, 0x402, 1, 0x58);
  assert.equal(machine.text(), "X");
});
