import assert from "node:assert/strict";
import fc from "fast-check";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { rtc, type RtcConfig } from "./rtc.ts";
import { nextAlarm, readTime, writeTime } from "./rtc_time.ts";

const IRQ = 8;
const SET = 0x80;
const PIE = 0x40;
const AIE = 0x20;
const UIE = 0x10;
const BINARY = 0x04;
const HOURS_24 = 0x02;
const GIB = 2 ** 30;

function open(config: RtcConfig = {}, realtime = Date.UTC(2024, 1, 29, 23, 59, 58)) {
  const machine = createDeviceContext(rtc, { realtime });
  const device = rtc.open(config, machine.context);
  device.reset();
  const clock = {
    machine,
    device,
    get(register: number) {
      access(device, 0x70, 1, register);
      return access(device, 0x71, 1);
    },
    set(register: number, value: number) {
      access(device, 0x70, 1, register);
      access(device, 0x71, 1, value);
    },
    /** The time as its hexadecimal digits show it. */
    time: () => [0x32, 9, 8, 7, 4, 2, 0].map((r) => clock.get(r).toString(16).padStart(2, "0")),
    line: () => machine.irqLevels.get(IRQ) ?? false,
    advance: (ms: number) => machine.advance(ms, device),
  };
  return clock;
}

Deno.test("rtc: shows the host's UTC in BCD, and goes on", () => {
  const clock = open();
  assert.deepEqual(clock.time(), ["20", "24", "02", "29", "23", "59", "58"]);
  assert.equal(clock.get(6), 5, "a Thursday");
  clock.advance(2000);
  assert.deepEqual(clock.time(), ["20", "24", "03", "01", "00", "00", "00"]);
});

Deno.test("rtc: register B chooses binary and the 12-hour clock", () => {
  const clock = open();
  clock.set(0x0b, HOURS_24 | BINARY);
  assert.deepEqual(clock.time(), ["14", "18", "02", "1d", "17", "3b", "3a"]);
  clock.set(0x0b, 0);
  assert.equal(clock.get(4), 0x91, "11 p. m.");
  clock.advance(2000);
  assert.equal(clock.get(4), 0x12, "12 a. m.");
  clock.advance(12 * 3600_000);
  assert.equal(clock.get(4), 0x92, "12 p. m.");
  clock.set(0x0b, BINARY);
  assert.equal(clock.get(4), 0x8c);
});

Deno.test("rtc: UIP is up just before each second ends", () => {
  const clock = open();
  assert.equal(clock.get(0x0a), 0x26);
  clock.advance(997);
  assert.equal(clock.get(0x0a), 0x26);
  clock.advance(2);
  assert.equal(clock.get(0x0a), 0xa6);
  clock.advance(1);
  assert.equal(clock.get(0x0a), 0x26);
});

Deno.test("rtc: SET holds the clock still; a guest's time is an offset to the host's", () => {
  const clock = open();
  clock.set(0x0b, SET | HOURS_24);
  clock.advance(5000);
  assert.deepEqual(clock.time(), ["20", "24", "02", "29", "23", "59", "58"]);
  const values = [[0x32, 0x19], [9, 0x99], [8, 0x12], [7, 0x31], [4, 0x23], [2, 0x59], [0, 0x50]];
  for (const [register, value] of values) clock.set(register!, value!);
  clock.set(0x0b, HOURS_24);
  assert.deepEqual(clock.time(), ["19", "99", "12", "31", "23", "59", "50"]);
  clock.advance(10_000);
  assert.deepEqual(clock.time(), ["20", "00", "01", "01", "00", "00", "00"]);
  clock.device.reset();
  assert.deepEqual(clock.time(), ["20", "00", "01", "01", "00", "00", "00"]);
});

Deno.test("rtc: the first update comes half a second after the divider's reset ends", () => {
  const clock = open();
  clock.set(0x0a, 0x76);
  clock.advance(3000);
  clock.set(0, 0x07);
  clock.set(0x0a, 0x26);
  clock.advance(499);
  assert.equal(clock.get(0), 0x07);
  clock.advance(1);
  assert.equal(clock.get(0), 0x08);
});

Deno.test("rtc: a time register written while the clock runs changes that part alone", () => {
  const clock = open();
  clock.set(4, 0x01);
  assert.deepEqual(clock.time(), ["20", "24", "02", "29", "01", "59", "58"]);
});

Deno.test("rtc: a reset starts a clock that was left standing", () => {
  const clock = open();
  clock.set(0x0b, SET | HOURS_24);
  clock.set(2, 0x30);
  clock.device.reset();
  assert.equal(clock.get(2), 0x30);
  clock.advance(500);
  assert.equal(clock.get(0), 0x59);
});

Deno.test("rtc: update-ended interrupts come each second, and register C takes them back", () => {
  const clock = open();
  clock.advance(300);
  clock.set(0x0b, HOURS_24 | UIE);
  clock.get(0x0c);
  assert.equal(clock.line(), false);
  clock.advance(699);
  assert.equal(clock.line(), false);
  clock.advance(1);
  assert.equal(clock.line(), true);
  clock.advance(5000);
  assert.equal(clock.machine.irqLog.length, 1, "no edge before it is read");
  assert.equal(clock.get(0x0c) & 0x90, 0x90);
  assert.equal(clock.line(), false);
  assert.equal(clock.get(0x0c), 0);
  clock.advance(1000);
  assert.equal(clock.line(), true);
});

Deno.test("rtc: SET clears UIE", () => {
  const clock = open();
  clock.set(0x0b, SET | UIE | HOURS_24);
  assert.equal(clock.get(0x0b), SET | HOURS_24);
});

Deno.test("rtc: the alarm comes at its time of day", () => {
  const clock = open();
  clock.set(1, 0x05);
  clock.set(3, 0x00);
  clock.set(5, 0x00);
  clock.set(0x0b, HOURS_24 | AIE);
  clock.get(0x0c);
  clock.advance(6000);
  assert.equal(clock.line(), false);
  clock.advance(1000);
  assert.equal(clock.line(), true);
  assert.equal(clock.get(0x0c) & 0xa0, 0xa0);
  clock.advance(86_399_000);
  assert.equal(clock.line(), false);
  clock.advance(1000);
  assert.equal(clock.line(), true);
});

Deno.test("rtc: an alarm's wildcards match any value", () => {
  const clock = open();
  for (const register of [1, 3, 5]) clock.set(register, 0xc0);
  clock.set(0x0b, HOURS_24 | AIE);
  for (let i = 0; i < 3; i++) {
    clock.advance(1000);
    assert.equal(clock.line(), true);
    clock.get(0x0c);
  }
  clock.set(1, 0x30);
  clock.get(0x0c);
  clock.advance(28_000);
  assert.equal(clock.line(), false);
  clock.advance(1000);
  assert.equal(clock.line(), true);
});

Deno.test("rtc: an alarm that never matches sets no timer", () => {
  const clock = open();
  clock.set(0x0b, HOURS_24 | AIE);
  for (const [seconds, minutes, hours] of [[0x60, 0, 0], [0, 0xaa, 0], [0, 0, 0x24]]) {
    clock.set(1, seconds!);
    clock.set(3, minutes!);
    clock.set(5, hours!);
    clock.get(0x0c);
    assert.equal(clock.device.deadline!(), Infinity);
  }
});

Deno.test("rtc: periodic interrupts come at the rate of register A", () => {
  const clock = open();
  clock.set(0x0a, 0x2f); // 2 Hz
  clock.set(0x0b, HOURS_24 | PIE);
  clock.get(0x0c);
  for (let i = 0; i < 4; i++) {
    clock.advance(499);
    assert.equal(clock.line(), false);
    clock.advance(1);
    assert.equal(clock.line(), true);
    assert.equal(clock.get(0x0c) & 0xc0, 0xc0);
  }
  clock.set(0x0a, 0x20);
  assert.equal(clock.device.deadline!(), Infinity);
});

Deno.test("rtc: a slow timer loses periodic ticks instead of making them up", () => {
  const clock = open();
  clock.set(0x0a, 0x23); // 8192 Hz
  clock.set(0x0b, HOURS_24 | PIE);
  clock.machine.advance(10_000);
  clock.device.expire!();
  clock.get(0x0c);
  assert.ok(clock.device.deadline!() > clock.machine.context.monotonic());
});

Deno.test("rtc: register C has its flags without interrupts, and a later enable raises them", () => {
  const clock = open();
  clock.machine.advance(1000);
  assert.equal(clock.get(0x0c) & 0xf0, 0x50);
  assert.equal(clock.device.deadline!(), Infinity);
  clock.machine.advance(1000);
  clock.set(0x0b, HOURS_24 | UIE);
  assert.equal(clock.line(), true);
});

Deno.test("rtc: a host clock that jumps back stops nothing", () => {
  const clock = open();
  clock.set(0x0b, HOURS_24 | UIE);
  clock.machine.advance(-3_600_000);
  clock.device.expire!();
  clock.get(0x0c);
  clock.advance(1000);
  assert.equal(clock.line(), true);
});

Deno.test("rtc: register D says the battery is good; C, D and UIP are read-only", () => {
  const clock = open();
  for (const register of [0x0a, 0x0c, 0x0d]) clock.set(register, 0xa6);
  assert.equal(clock.get(0x0a), 0x26);
  assert.equal(clock.get(0x0d), 0x80);
  assert.equal(clock.get(0x0c), 0);
  assert.equal(access(clock.device, 0x70, 1), 0xff);
});

Deno.test("rtc: bit 7 of the index masks NMI and is no part of the index", () => {
  const clock = open();
  clock.set(0x80 | 0x0f, 0x05);
  assert.equal(clock.get(0x0f), 0x05);
  access(clock.device, 0x70, 2, 0x0a8f);
  assert.equal(clock.get(0x0f), 0x0a, "index and data in one word");
  clock.device.reset();
  assert.equal(clock.get(0x0f), 0x0a, "the shutdown status outlives a reset");
});

Deno.test("rtc: CMOS says how much memory and how many processors there are", () => {
  const word = (clock: ReturnType<typeof open>, at: number) =>
    clock.get(at) + clock.get(at + 1) * 256;
  const big = open({ lowMemory: 3 * GIB, highMemory: 5 * GIB, cpus: 4 });
  assert.equal(word(big, 0x15), 640);
  assert.equal(word(big, 0x17), 0xffff);
  assert.equal(word(big, 0x30), 0xffff);
  assert.equal(word(big, 0x34), (3 * GIB - 2 ** 24) / 65536);
  assert.equal(word(big, 0x5b) + big.get(0x5d) * 65536, 5 * GIB / 65536);
  assert.equal(big.get(0x5f), 3);
  const small = open({ lowMemory: 2 ** 23 });
  assert.equal(word(small, 0x17), 7168);
  assert.equal(word(small, 0x34), 0);
  const tiny = open({ lowMemory: 65536 });
  assert.equal(word(tiny, 0x15), 64);
  assert.equal(word(tiny, 0x17), 0);
  tiny.set(0x15, 0xff);
  tiny.device.reset();
  assert.equal(word(tiny, 0x15), 64, "a reset writes it anew");
});

Deno.test("rtc: a time written in any format reads back as it was", () => {
  const seconds = fc.integer({ min: Date.UTC(0, 0) / 1000, max: Date.UTC(9999, 11, 31) / 1000 });
  fc.assert(fc.property(seconds, fc.constantFrom(0, 2, 4, 6), (second, format) => {
    const ram = new Uint8Array(128);
    writeTime(second, ram, format);
    assert.equal(readTime(ram, format), second);
  }));
});

Deno.test("rtc: any bytes in the time registers make a finite time", () => {
  const ram = fc.uint8Array({ minLength: 128, maxLength: 128 });
  fc.assert(fc.property(ram, fc.constantFrom(0, 2, 4, 6), (ram, format) => {
    assert.ok(Number.isSafeInteger(readTime(ram, format)));
  }));
});

Deno.test("rtc: the next alarm is the first second that matches", () => {
  const byte = fc.oneof(fc.integer({ min: 0, max: 0x59 }), fc.integer({ min: 0xc0, max: 0xff }));
  const time = fc.integer({ min: 0, max: 2 ** 32 });
  fc.assert(fc.property(byte, byte, byte, time, (seconds, minutes, hours, after) => {
    const ram = new Uint8Array(128).fill(0);
    [ram[1], ram[3], ram[5]] = [seconds, minutes, hours];
    const found = nextAlarm(after, ram, HOURS_24);
    const shown = new Uint8Array(128);
    const matches = (t: number) => {
      writeTime(t, shown, HOURS_24);
      return [0, 2, 4].every((r) => ram[r + 1]! >= 0xc0 || ram[r + 1] === shown[r]);
    };
    if (found === Infinity) return;
    assert.ok(found > after && found <= after + 86_400);
    assert.ok(matches(found));
    for (let t = found - 1; t > after && t > found - 200; t--) assert.ok(!matches(t));
  }));
  assert.equal(nextAlarm(1e300, new Uint8Array(128), HOURS_24), Infinity);
});
