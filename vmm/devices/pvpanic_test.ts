import assert from "node:assert/strict";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { Port } from "../board.ts";
import { pvpanic } from "./pvpanic.ts";

function open() {
  const machine = createDeviceContext(pvpanic);
  const device = pvpanic.open({}, machine.context);
  device.reset();
  const state = () => machine.context.state.getUint8(0);
  return { machine, device, state };
}

Deno.test("the port tells which events are understood", () => {
  assert.equal(access(open().device, Port.PVPANIC, 1), 7);
});

Deno.test("a panic ends the VM as one, a shutdown as a power-off", () => {
  const { machine, device } = open();
  access(device, Port.PVPANIC, 1, 1);
  access(device, Port.PVPANIC, 1, 4);
  assert.deepEqual(machine.stops, [["panic", undefined], ["poweroff", undefined]]);
});

Deno.test("a panic that a crash kernel deals with is only noted, until reset", () => {
  const { machine, device, state } = open();
  access(device, Port.PVPANIC, 1, 2);
  assert.deepEqual(machine.stops, []);
  assert.equal(state(), 2);
  device.reset();
  assert.equal(state(), 0);
});

Deno.test("events of no known kind are ignored; panic wins over shutdown", () => {
  const { machine, device, state } = open();
  access(device, Port.PVPANIC, 1, 0xf8);
  assert.deepEqual(machine.stops, []);
  assert.equal(state(), 0);
  access(device, Port.PVPANIC, 4, 0xffff_ffff);
  assert.deepEqual(machine.stops, [["panic", undefined]]);
});
