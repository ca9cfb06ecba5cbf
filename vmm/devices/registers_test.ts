/** What holds for each device of the board, whatever a guest does to its registers. */
import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import fc from "fast-check";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import type { Device, DeviceType } from "../device.ts";
import { loadDeviceType } from "./registry.ts";

const CONFIGS: Record<string, Record<string, number>> = {
  serial: { port: 0x3f8, irq: 4 },
  i8042: {},
  rtc: { lowMemory: 2 ** 28, highMemory: 0, cpus: 2 },
  debug_exit: {},
  debug_console: {},
  test_device: {},
};

function open(type: DeviceType) {
  const machine = createDeviceContext(type);
  const device = type.open(CONFIGS[type.type], machine.context);
  device.reset();
  return { machine, device };
}

/** Each offset of each range, or its first and last 16 where it is long. */
function addresses(device: Device): number[] {
  return device.ranges.flatMap(({ base, size }) =>
    Array.from({ length: size }, (_, i) => i)
      .filter((i) => i < 16 || i >= size - 16)
      .map((i) => base + i)
  );
}

/** Fields that are times on the monotonic clock. */
const TIMES: readonly string[] = ["xmit_deadline", "next_periodic", "timer_start", "deadline"];

for (const word of Object.keys(CONFIGS)) {
  const type = await loadDeviceType(word);

  Deno.test(`${word}: opening it leaves its slice alone`, () => {
    const machine = createDeviceContext(type);
    const slice = new Uint8Array(machine.context.state.buffer).fill(0xa5);
    type.open(CONFIGS[word], machine.context);
    assert.ok(slice.every((byte) => byte === 0xa5));
  });

  Deno.test(`${word}: every offset can be read and written at widths 1, 2, 4 and 8`, () => {
    for (const width of [1, 2, 4, 8]) {
      for (const value of [0, 2 ** (8 * width - 1), 0xff]) {
        const { device } = open(type);
        for (const address of addresses(device)) {
          access(device, address, width);
          access(device, address, width, value);
          access(device, address, width);
        }
      }
    }
  });

  Deno.test(`${word}: no sequence of accesses throws or gives a value out of range`, () => {
    const { device } = open(type);
    const step = fc.record({
      address: fc.constantFrom(...addresses(device)),
      width: fc.constantFrom(1, 2, 4),
      // Small numbers and single bits, which commands and flags are made of, beside any at all.
      value: fc.option(
        fc.oneof(
          fc.nat({ max: 0xff }),
          fc.integer({ min: 0, max: 31 }).map((bit) => 2 ** bit),
          fc.nat({ max: 0xffff_ffff }),
        ),
        { nil: undefined },
      ),
      input: fc.uint8Array({ maxLength: 20 }),
      milliseconds: fc.constantFrom(0, 0, 1, 2, 999, 100_000),
      ready: fc.boolean(),
    });
    fc.assert(fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const { machine, device } = open(type);
      for (const { address, width, value, input, milliseconds, ready } of steps) {
        machine.outputReady = ready;
        access(device, address, width, value === undefined ? undefined : value % 2 ** (8 * width));
        const taken = device.receive?.(input) ?? 0;
        assert.ok(taken >= 0 && taken <= input.length);
        device.action?.("break");
        if (device.expire !== undefined) machine.advance(Math.min(milliseconds, 20), device);
        machine.advance(milliseconds);
        device.expire?.();
      }
      device.reset();
    }));
  });

  Deno.test(`${word}: its state goes to JSON and back`, () => {
    const { machine, device } = open(type);
    for (const address of addresses(device)) access(device, address, 1, address % 251);
    device.receive?.(new Uint8Array([1, 2, 3]));
    const before = new type.state(machine.context.state) as unknown as Record<string, number>;
    const json = JSON.parse(JSON.stringify(before));
    const copy = createDeviceContext(type);
    const state = new type.state(copy.context.state);
    state.fromJSON(json);
    const after = state as unknown as Record<string, number>;
    // Times are as far away as they were, so they are later by what passed between.
    for (const time of TIMES.filter((name) => name in json)) {
      assert.equal(after[time]! >= before[time]!, true, time);
      after[time] = before[time]!;
    }
    const withoutTimes = (key: string, value: unknown) => TIMES.includes(key) ? undefined : value;
    assert.deepEqual(
      JSON.parse(JSON.stringify(state, withoutTimes)),
      JSON.parse(JSON.stringify(json, withoutTimes)),
    );
    assert.deepEqual(
      new Uint8Array(copy.context.state.buffer),
      new Uint8Array(machine.context.state.buffer),
    );
  });

  Deno.test(`${word}: a slice of garbage makes no access throw, and a reset mends it`, () => {
    const fresh = open(type);
    const garbage = fc.constantFrom(0x00, 0x55, 0x7f, 0xa5, 0xff);
    fc.assert(
      fc.property(garbage, (byte) => {
        const { machine, device } = open(type);
        new Uint8Array(machine.context.state.buffer).fill(byte);
        for (const address of addresses(device)) {
          access(device, address, 1);
          access(device, address, 1, 0x11);
        }
        device.receive?.(new Uint8Array(20));
        device.action?.("break");
        device.expire?.();
        device.reset();
        assert.deepEqual(device.ranges.length, fresh.device.ranges.length);
        assert.equal(device.deadline?.() ?? Infinity, Infinity);
        assert.ok([...machine.irqLevels.values()].every((level) => !level));
      }),
      { numRuns: 10 },
    );
  });
}
