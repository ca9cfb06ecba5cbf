import assert from "node:assert/strict";
import { access, createDeviceContext } from "../../tests/fake_device_context.ts";
import { i8042 } from "./i8042.ts";

const OBF = 0x01;
const COMMAND = 0x08;
const AUX = 0x20;

function open() {
  const machine = createDeviceContext(i8042);
  const device = i8042.open({}, machine.context);
  device.reset();
  return {
    machine,
    device,
    data: (value?: number) => access(device, 0x60, 1, value),
    control: (value?: number) => access(device, 0x64, 1, value),
    /** All bytes that wait. */
    answer() {
      const bytes = [];
      while ((access(device, 0x64, 1) & OBF) !== 0) bytes.push(access(device, 0x60, 1));
      return bytes;
    },
    line: () => machine.irqLevels.get(1) ?? false,
  };
}

Deno.test("i8042: the status register says unlocked, self-tested, and who was written last", () => {
  const kbc = open();
  assert.equal(kbc.control(), 0x14);
  kbc.control(0xae);
  assert.equal(kbc.control(), 0x14 | COMMAND);
  kbc.data(0xf4);
  assert.equal(kbc.control(), 0x14 | OBF);
});

Deno.test("i8042: the controller's tests pass", () => {
  const kbc = open();
  kbc.control(0xaa);
  assert.deepEqual(kbc.answer(), [0x55]);
  kbc.control(0xab);
  assert.deepEqual(kbc.answer(), [0x00]);
  kbc.control(0xc0);
  assert.deepEqual(kbc.answer(), [0x80]);
});

Deno.test("i8042: the command byte is written, read, and changed by the enabling commands", () => {
  const kbc = open();
  const read = () => {
    kbc.control(0x20);
    return kbc.answer()[0];
  };
  kbc.control(0x60);
  kbc.data(0x44);
  assert.equal(read(), 0x44);
  kbc.control(0xad);
  kbc.control(0xa7);
  assert.equal(read(), 0x74);
  kbc.control(0xae);
  kbc.control(0xa8);
  assert.equal(read(), 0x44);
});

Deno.test("i8042: Linux' probe finds a keyboard and no mouse, with an answer to each question", () => {
  const kbc = open();
  kbc.control(0xd3);
  kbc.data(0x5a);
  assert.equal(kbc.control() & (OBF | AUX), OBF, "the loop does not come from a mouse");
  kbc.answer();
  kbc.control(0xa9);
  assert.deepEqual(kbc.answer(), [0x01], "the mouse's clock line is stuck");
  kbc.control(0xd4);
  kbc.data(0xff);
  assert.equal(kbc.control() & (OBF | AUX), OBF | AUX);
  assert.deepEqual(kbc.answer(), [0xfe]);
});

Deno.test("i8042: the keyboard answers its commands", () => {
  const kbc = open();
  const ask = (...bytes: number[]) => {
    for (const byte of bytes) kbc.data(byte);
    return kbc.answer();
  };
  assert.deepEqual(ask(0xff), [0xfa, 0xaa]);
  assert.deepEqual(ask(0xf2), [0xfa, 0xab, 0x41], "translated to set 1");
  assert.deepEqual(ask(0xed), [0xfa]);
  assert.deepEqual(ask(0x07), [0xfa]);
  assert.deepEqual(ask(0xf3, 0x00), [0xfa, 0xfa]);
  assert.deepEqual(ask(0xf0, 0x00), [0xfa, 0xfa, 0x02]);
  assert.deepEqual(ask(0xf0, 0x03, 0xf0, 0x00), [0xfa, 0xfa, 0xfa, 0xfa, 0x03]);
  for (const command of [0xf4, 0xf5, 0xf6, 0xf7, 0xfa]) assert.deepEqual(ask(command), [0xfa]);
  assert.deepEqual(ask(0xfc, 0x1c), [0xfa, 0xfa]);
  assert.deepEqual(ask(0xee), [0xee]);
  assert.deepEqual(ask(0xfe), [0xee]);
  assert.deepEqual(ask(0x00), [0xfe], "an unknown command");
  assert.deepEqual(ask(0xed, 0xff), [0xfa, 0xfa, 0xaa], "a command takes an option's place");
  kbc.control(0x60);
  kbc.data(0x05);
  assert.deepEqual(ask(0xf2), [0xfa, 0xab, 0x83], "untranslated");
});

Deno.test("i8042: IRQ 1 has an edge for each byte, if it is enabled", () => {
  const kbc = open();
  kbc.data(0xff);
  assert.equal(kbc.line(), true);
  kbc.machine.irqLog.length = 0;
  kbc.data();
  assert.deepEqual(kbc.machine.irqLog, [[1, false], [1, true]]);
  kbc.data();
  assert.equal(kbc.line(), false);
  kbc.control(0x60);
  kbc.data(0x44);
  kbc.data(0xf4);
  assert.equal(kbc.line(), false);
  kbc.control(0x60);
  kbc.data(0x45);
  assert.equal(kbc.line(), true);
});

Deno.test("i8042: pulsing bit 0 of the output port resets the machine", () => {
  for (let command = 0xf0; command <= 0xff; command++) {
    const kbc = open();
    kbc.control(command);
    assert.deepEqual(kbc.machine.stops, command % 2 === 0 ? [["reset", undefined]] : []);
  }
  const kbc = open();
  kbc.control(0xd1);
  kbc.data(0xdf);
  assert.deepEqual(kbc.machine.stops, []);
  kbc.control(0xd1);
  kbc.data(0xfe);
  assert.deepEqual(kbc.machine.stops, [["reset", undefined]]);
});

Deno.test("i8042: the output port remembers A20", () => {
  const kbc = open();
  const a20 = () => {
    kbc.control(0xd0);
    return (kbc.answer()[0]! & 0x02) !== 0;
  };
  assert.equal(a20(), true);
  kbc.control(0xd1);
  kbc.data(0xdd);
  assert.equal(a20(), false);
  kbc.control(0xdf);
  assert.equal(a20(), true);
  kbc.control(0xdd);
  assert.equal(a20(), false);
  kbc.device.reset();
  assert.equal(a20(), true);
});

Deno.test("i8042: a full queue loses bytes and nothing else", () => {
  const kbc = open();
  for (let i = 0; i < 100; i++) kbc.data(0xee);
  assert.equal(kbc.answer().length, 16);
  assert.equal(kbc.line(), false);
  kbc.control(0xaa);
  assert.deepEqual(kbc.answer(), [0x55]);
});
