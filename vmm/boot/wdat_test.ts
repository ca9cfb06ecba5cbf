import assert from "node:assert/strict";
import * as v from "valibot";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import type { Width } from "../device.ts";
import { watchdog } from "../devices/watchdog.ts";
import { Wdat, wdat, WdatAction, WdatEntry, WdatInstruction } from "./wdat.ts";

function parse() {
  const bytes = wdat();
  const view = new DataView(bytes.buffer);
  const header = new Wdat(view);
  const entries = Array.from(
    { length: header.entries },
    (_, i) => new WdatEntry(view, Wdat.size + i * WdatEntry.size),
  );
  return { bytes, header, entries };
}

/** A driver of any such watchdog, as the specification has it: it knows nothing but the table. */
function driver() {
  const machine = createDeviceContext(watchdog);
  const device = watchdog.open(v.parse(watchdog.schema!, {}), machine.context);
  device.reset();
  const { entries } = parse();
  const run = (action: number, parameter = 0): number | undefined => {
    let result: number | undefined;
    for (const entry of entries.filter((e) => e.action === action)) {
      const { address, access_width } = entry.register_region;
      const width = access_width as Width; // 1 and 2 are bytes and words
      const { mask, value } = entry;
      const read = () => access(device, address, width);
      const write = (bits: number) => {
        const kept = (entry.instruction & WdatInstruction.PRESERVE_REGISTER) === 0
          ? 0
          : read() & ~mask;
        access(device, address, width, bits & mask | kept);
      };
      switch (entry.instruction & ~WdatInstruction.PRESERVE_REGISTER) {
        case WdatInstruction.READ_VALUE:
          result = (read() & mask) === value ? 1 : 0;
          break;
        case WdatInstruction.READ_COUNTDOWN:
          result = read() & mask;
          break;
        case WdatInstruction.WRITE_VALUE:
          write(value);
          break;
        case WdatInstruction.WRITE_COUNTDOWN:
          write(parameter);
          break;
        default:
          assert.fail("no such instruction");
      }
    }
    return result;
  };
  return { machine, device, run };
}

Deno.test("the table's size, checksum and lengths are right", () => {
  const { bytes, header, entries } = parse();
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), "WDAT");
  assert.equal(header.header.length, bytes.length);
  assert.equal(bytes.length, 68 + 24 * entries.length);
  assert.equal(header.header_length, 32);
  assert.equal(bytes.reduce((sum, byte) => (sum + byte) & 0xff, 0), 0);
  assert.equal(header.flags, 1);
});

Deno.test("Linux takes it for one that is not on the PCI bus", () => {
  const { pci_segment, pci_bus, pci_device, pci_function } = parse().header;
  assert.deepEqual([pci_segment, pci_bus, pci_device, pci_function], [0xff, 0xff, 0xff, 0xff]);
});

Deno.test("each action has one instruction", () => {
  const actions = parse().entries.map(({ action }) => action);
  assert.deepEqual(actions, Object.values(WdatAction));
});

Deno.test("a driver that knows only the table starts, reloads, reads and stops the watchdog", () => {
  const { machine, device, run } = driver();
  assert.equal(run(WdatAction.GET_STATUS), 0);
  assert.equal(run(WdatAction.GET_RUNNING_STATE), 0);
  assert.equal(run(WdatAction.GET_STOPPED_STATE), 1);
  assert.equal(run(WdatAction.GET_REBOOT), 1);
  run(WdatAction.SET_REBOOT);
  run(WdatAction.SET_COUNTDOWN, 100);
  assert.equal(run(WdatAction.GET_COUNTDOWN), 100);
  run(WdatAction.SET_RUNNING_STATE);
  assert.equal(run(WdatAction.GET_RUNNING_STATE), 1);
  machine.advance(9000, device);
  assert.equal(run(WdatAction.GET_CURRENT_COUNTDOWN), 10);
  run(WdatAction.RESET);
  assert.equal(run(WdatAction.GET_CURRENT_COUNTDOWN), 100);
  run(WdatAction.SET_STOPPED_STATE);
  assert.equal(run(WdatAction.GET_STOPPED_STATE), 1);
  machine.advance(60_000, device);
  assert.deepEqual(machine.stops, []);
});

Deno.test("a driver finds that the watchdog has fired, and clears that", () => {
  const { machine, device, run } = driver();
  run(WdatAction.SET_RUNNING_STATE);
  machine.advance(30_000, device);
  assert.deepEqual(machine.stops, [["reset", undefined]]);
  device.reset();
  assert.equal(run(WdatAction.GET_STATUS), 1);
  run(WdatAction.SET_STATUS);
  assert.equal(run(WdatAction.GET_STATUS), 0);
});
