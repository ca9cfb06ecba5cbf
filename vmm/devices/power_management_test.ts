import assert from "node:assert/strict";
import fc from "fast-check";
import {
  access,
  createDeviceContext,
  type FakeMachineOptions,
} from "../../tests/fake_device_context.ts";
import { Acpi, Irq, Port } from "../board.ts";
import { powerManagement } from "./power_management.ts";

const STATUS = Port.PM;
const ENABLE = Port.PM + 2;
const CONTROL = Port.PM + 4;
const TIMER = Port.PM + 8;
const TMR = 1 << 0;
const PWRBTN = 1 << 8;
const HALF_PERIOD_MS = 2 ** 31 / Acpi.PM_TIMER_HZ * 1000;

function open(options: FakeMachineOptions = {}) {
  const machine = createDeviceContext(powerManagement, options);
  const device = powerManagement.open({}, machine.context);
  device.reset();
  machine.irqLog.length = 0;
  return { machine, device };
}

Deno.test("the board is in ACPI mode from power-on, whatever a guest writes", () => {
  const { device } = open();
  assert.equal(access(device, CONTROL, 2), 1);
  access(device, CONTROL, 2, 0);
  assert.equal(access(device, CONTROL, 2), 1);
});

Deno.test("S5 with SLP_EN turns the machine off, written as a word or by its upper byte", () => {
  const s5 = Acpi.S5_SLP_TYP << 10 | 1 << 13;
  const { machine, device } = open();
  access(device, CONTROL, 2, s5);
  assert.deepEqual(machine.stops, [["poweroff", undefined]]);
  access(device, CONTROL + 1, 1, s5 >> 8);
  assert.equal(machine.stops.length, 2);
  assert.equal(access(device, CONTROL, 2), Acpi.S5_SLP_TYP << 10 | 1, "SLP_EN reads as zero");
});

Deno.test("SLP_TYP alone, or SLP_EN with another sleep state, does nothing", () => {
  const { machine, device } = open();
  access(device, CONTROL, 2, Acpi.S5_SLP_TYP << 10);
  for (let type = 0; type < 8; type++) {
    if (type !== Acpi.S5_SLP_TYP) access(device, CONTROL, 2, type << 10 | 1 << 13);
  }
  assert.deepEqual(machine.stops, []);
});

Deno.test("the power button raises SCI once it is enabled, until its status is cleared", () => {
  const { machine, device } = open();
  assert.equal(device.action!("powerbutton"), true);
  assert.equal(machine.irqLevels.get(Irq.SCI), false);
  access(device, ENABLE, 2, PWRBTN);
  assert.equal(machine.irqLevels.get(Irq.SCI), true);
  access(device, STATUS, 2, 0);
  assert.equal(access(device, STATUS, 2), PWRBTN, "writing 0 clears nothing");
  access(device, STATUS, 2, PWRBTN);
  assert.equal(access(device, STATUS, 2), 0);
  assert.equal(machine.irqLevels.get(Irq.SCI), false);
});

Deno.test("a general-purpose event raises SCI once it is enabled, until its status is cleared", () => {
  const { machine, device } = open();
  assert.equal(device.action!("gpe", "1"), true);
  assert.equal(access(device, Port.GPE0, 4), 0b10);
  assert.equal(machine.irqLevels.get(Irq.SCI), false);
  access(device, Port.GPE0 + 2, 2, 0b10);
  assert.equal(machine.irqLevels.get(Irq.SCI), true);
  access(device, Port.GPE0, 2, 0b10);
  assert.equal(machine.irqLevels.get(Irq.SCI), false);
  device.action!("gpe", "15");
  assert.equal(access(device, Port.GPE0, 2), 0x8000);
});

Deno.test("an action of another name, or an event that there isn't, is not its own", () => {
  const { device } = open();
  assert.equal(device.action!("nmi"), false);
  for (const value of ["16", "-1", "", "1.5", "x", undefined]) {
    assert.equal(device.action!("gpe", value), false);
  }
  assert.equal(access(device, Port.GPE0, 4), 0);
});

Deno.test("the timer counts 3579545 ticks a second in 32 bits", () => {
  const { machine, device } = open({ monotonic: 0 });
  machine.advance(1000);
  assert.equal(access(device, TIMER, 4), 3_579_545);
  access(device, TIMER, 4, 0);
  assert.equal(access(device, TIMER, 4), 3_579_545, "it can't be written");
  assert.equal(access(device, TIMER + 1, 2), 3_579_545 >> 8 & 0xffff);
  machine.advance(2 * HALF_PERIOD_MS);
  assert.ok(Math.abs(access(device, TIMER, 4) - 3_579_545) <= 1, "it wraps");
});

Deno.test("the timer's carry is seen in its status, and asks for no wake-up unless enabled", () => {
  const { machine, device } = open({ monotonic: 0 });
  assert.equal(device.deadline!(), Infinity);
  machine.advance(HALF_PERIOD_MS - 1, device);
  assert.equal(access(device, STATUS, 2), 0);
  machine.advance(2, device);
  assert.equal(access(device, STATUS, 2), TMR);
  assert.equal(machine.irqLevels.get(Irq.SCI) ?? false, false);
});

Deno.test("an enabled timer carry raises SCI at each half period", () => {
  const { machine, device } = open({ monotonic: 0 });
  access(device, ENABLE, 2, TMR);
  for (let i = 0; i < 3; i++) {
    assert.notEqual(device.deadline!(), Infinity);
    machine.advance(HALF_PERIOD_MS + 1, device);
    assert.equal(machine.irqLevels.get(Irq.SCI), true);
    assert.equal(device.deadline!(), Infinity);
    access(device, STATUS, 2, TMR);
    assert.equal(machine.irqLevels.get(Irq.SCI), false);
    machine.advance(1, device);
  }
  assert.ok(machine.rearms > 0);
});

Deno.test("reserved enable bits stay zero, general-purpose enables are kept", () => {
  const { device } = open();
  access(device, ENABLE, 2, 0xffff);
  assert.equal(access(device, ENABLE, 2), 0x0721);
  access(device, Port.GPE0, 4, 0xa5a5_0000);
  assert.equal(access(device, Port.GPE0, 4), 0xa5a5_0000);
});

Deno.test("a four-byte access reads status and enable together", () => {
  const { device } = open();
  device.action!("powerbutton");
  access(device, ENABLE, 2, PWRBTN | TMR);
  assert.equal(access(device, STATUS, 4), (PWRBTN | TMR) << 16 | PWRBTN);
  assert.equal(access(device, STATUS + 1, 2), 0x0101, "across the two registers");
});

Deno.test("the reset register resets at bit 2, and keeps the rest", () => {
  const { machine, device } = open();
  access(device, Port.RESET, 1, 0x02);
  assert.deepEqual(machine.stops, []);
  assert.equal(access(device, Port.RESET, 1), 0x02);
  access(device, Port.RESET, 1, Acpi.RESET_VALUE);
  assert.deepEqual(machine.stops, [["reset", undefined]]);
});

Deno.test("a PCI configuration address is no reset, whatever its bytes", () => {
  const { machine, device } = open();
  access(device, 0xcf8, 4, 0x8000_0600); // device 0, function 6
  access(device, 0xcf8, 2, 0x0600);
  assert.deepEqual(machine.stops, []);
  assert.equal(access(device, 0xcf8, 4), 0xffff_ffff);
});

Deno.test("reset clears what a guest set, and its interrupt", () => {
  const { machine, device } = open();
  access(device, ENABLE, 2, PWRBTN);
  device.action!("powerbutton");
  access(device, Port.GPE0, 4, 0xffff_ffff);
  device.reset();
  assert.equal(machine.irqLevels.get(Irq.SCI), false);
  assert.equal(access(device, STATUS, 4), 0);
  assert.equal(access(device, Port.GPE0, 4), 0);
});

Deno.test("every port at every width, aligned or not, reads and takes any value", () => {
  const { device } = open();
  const port = fc.oneof(
    fc.integer({ min: Port.PM - 2, max: Port.PM + 12 }),
    fc.integer({ min: Port.GPE0 - 2, max: Port.GPE0 + 4 }),
    fc.integer({ min: Port.RESET - 7, max: Port.RESET + 1 }),
  );
  const width = fc.constantFrom(1, 2, 4, 8);
  fc.assert(fc.property(port, width, fc.nat(2 ** 32 - 1), (port, width, value) => {
    access(device, port, width, value % 2 ** (8 * width));
    const read = access(device, port, width);
    assert.ok(read >= 0 && read <= 2 ** (8 * width));
    assert.equal(access(device, CONTROL, 2) & 1, 1);
    assert.equal(access(device, ENABLE, 2) & ~0x0721, 0);
  }));
});
