import assert from "node:assert/strict";
import { createDeviceContext } from "../../tests/fake_device_context.ts";
import { serial } from "./serial.ts";
import { FCR, IER, IIR, LCR, LSR, MCR, MSR, Register } from "./serial_registers.ts";

const IRQ = 4;
const THR = Register.RBR_THR_DLL;
const RBR = Register.RBR_THR_DLL;
const IDLE = LSR.THRE | LSR.TEMT;
const TRIGGER_8 = 0x80;

function open() {
  const machine = createDeviceContext(serial);
  const device = serial.open({ port: 0x3f8, irq: IRQ }, machine.context);
  device.reset();
  const { handler } = device.ranges[0]!;
  return {
    machine,
    device,
    out: (register: number, value: number) => handler.write(register, 1, value),
    in: (register: number) => handler.read(register, 1),
    put: (text: string) => device.receive!(new TextEncoder().encode(text)),
    line: () => machine.irqLevels.get(IRQ) ?? false,
    /** Interrupts to the bus with FIFOs on, as an operating system's driver has them. */
    drive(ier: number, fcr: number = FCR.ENABLE) {
      handler.write(Register.IIR_FCR, 1, fcr);
      handler.write(Register.MCR, 1, MCR.OUT2);
      handler.write(Register.IER_DLM, 1, ier);
    },
  };
}

Deno.test("serial: registers have their reset values", () => {
  const port = open();
  const values = [1, 2, 3, 4, 5, 6, 7].map((register) => port.in(register));
  assert.deepEqual(values, [0, IIR.NO_INT, 0, 0, IDLE, MSR.CTS | MSR.DSR | MSR.DCD, 0]);
  assert.equal(port.line(), false);
});

Deno.test("serial: bytes written to THR come out, whatever LCR's word length is", () => {
  const port = open();
  for (const byte of [0x48, 0xff, 0x00, 0x0a]) port.out(THR, byte);
  assert.deepEqual(port.machine.output, [0x48, 0xff, 0x00, 0x0a]);
  assert.equal(port.in(Register.LSR), IDLE);
});

Deno.test("serial: the scratch register keeps a byte, IER four bits, MCR five", () => {
  const port = open();
  port.out(Register.SCR, 0xa5);
  port.out(Register.IER_DLM, 0xff);
  port.out(Register.MCR, 0xff);
  assert.equal(port.in(Register.SCR), 0xa5);
  assert.equal(port.in(Register.IER_DLM), 0x0f);
  assert.equal(port.in(Register.MCR), 0x1f);
});

Deno.test("serial: DLAB shows the divisor latch in place of data and IER", () => {
  const port = open();
  port.out(Register.IER_DLM, IER.RDI);
  port.out(Register.LCR, LCR.DLAB | 3);
  assert.deepEqual([port.in(0), port.in(1)], [12, 0]);
  port.out(0, 0x34);
  port.out(1, 0x12);
  assert.deepEqual([port.in(0), port.in(1)], [0x34, 0x12]);
  port.out(Register.LCR, 3);
  assert.equal(port.in(Register.IER_DLM), IER.RDI);
  assert.deepEqual(port.machine.output, []);
});

Deno.test("serial: without FIFOs one byte is taken, and the next when it was read", () => {
  const port = open();
  assert.equal(port.put("ab"), 1);
  assert.equal(port.put("b"), 0);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR);
  assert.equal(port.machine.rearms, 0);
  assert.equal(port.in(RBR), 0x61);
  assert.equal(port.machine.rearms, 1, "the machine is told that there is room");
  assert.equal(port.in(Register.LSR), IDLE);
  assert.equal(port.in(RBR), 0x61, "an empty RBR keeps its byte");
  assert.equal(port.put("b"), 1);
  assert.equal(port.in(RBR), 0x62);
});

Deno.test("serial: a FIFO takes 16 bytes and gives them in order, round and round", () => {
  const port = open();
  port.out(Register.IIR_FCR, FCR.ENABLE);
  for (let round = 0; round < 5; round++) {
    assert.equal(port.put("0123456789abcdefXYZ"), 16);
    let text = "";
    while ((port.in(Register.LSR) & LSR.DR) !== 0) text += String.fromCharCode(port.in(RBR));
    assert.equal(text, "0123456789abcdef");
    assert.equal(port.put("abc"), 3);
    assert.deepEqual([port.in(RBR), port.in(RBR), port.in(RBR)], [0x61, 0x62, 0x63]);
  }
});

Deno.test("serial: IIR says that the FIFOs are on, and only then keeps a trigger level", () => {
  const port = open();
  port.out(Register.IIR_FCR, FCR.ENABLE | TRIGGER_8);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.NO_INT);
  port.out(Register.IIR_FCR, TRIGGER_8);
  assert.equal(port.in(Register.IIR_FCR), IIR.NO_INT);
});

Deno.test("serial: turning FIFOs on or off, or FCR bit 1, empties the receiver", () => {
  const port = open();
  for (const fcr of [FCR.ENABLE, FCR.ENABLE | FCR.CLEAR_RCVR, 0]) {
    assert.equal(port.put("a"), 1);
    port.out(Register.IIR_FCR, fcr);
    assert.equal(port.in(Register.LSR), IDLE);
  }
  port.out(Register.IIR_FCR, FCR.ENABLE);
  port.put("a");
  port.out(Register.IIR_FCR, FCR.ENABLE);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR, "FCR without a change keeps it");
});

Deno.test("serial: each trigger level raises received data, less raises the time-out", () => {
  for (const [bits, level] of [[0, 1], [1, 4], [2, 8], [3, 14]] as const) {
    const port = open();
    port.drive(IER.RDI, FCR.ENABLE | bits << FCR.TRIGGER_SHIFT);
    for (let count = 1; count <= 16; count++) {
      port.put("x");
      const expected = count >= level ? IIR.RDI : IIR.TIMEOUT;
      assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | expected, `${count} of ${level}`);
      assert.equal(port.line(), true);
    }
    for (let count = 15; count >= 0; count--) {
      port.in(RBR);
      const expected = count === 0 ? IIR.NO_INT : count >= level ? IIR.RDI : IIR.TIMEOUT;
      assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | expected, `${count} of ${level}`);
    }
    assert.equal(port.line(), false);
  }
});

Deno.test("serial: a driver that reads a byte an interrupt gets an edge for each byte", () => {
  const port = open();
  port.drive(IER.RDI, FCR.ENABLE | TRIGGER_8);
  port.put("abc");
  port.machine.irqLog.length = 0;
  port.in(RBR);
  assert.deepEqual(port.machine.irqLog, [[IRQ, false], [IRQ, true]]);
});

Deno.test("serial: interrupts come in their order of priority", () => {
  const port = open();
  port.drive(IER.MASK);
  port.out(Register.MCR, MCR.OUT2 | MCR.LOOP); // changes the modem lines
  port.out(Register.MCR, MCR.OUT2);
  port.put("a");
  port.device.action!("break");
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.RDI, "the break is behind the byte");
  port.in(RBR);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.RLSI);
  port.in(Register.LSR);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.RDI);
  port.in(RBR);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.THRI);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.MSI, "IIR acknowledges THRE");
  assert.equal(port.line(), true);
  port.in(Register.MSR);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.NO_INT);
  assert.equal(port.line(), false);
});

Deno.test("serial: THRE interrupts when it is enabled and after each byte written", () => {
  const port = open();
  port.drive(IER.THRI);
  assert.equal(port.line(), true);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.THRI);
  assert.equal(port.line(), false);
  port.out(THR, 0x61);
  assert.equal(port.line(), true);
  port.machine.irqLog.length = 0;
  port.out(THR, 0x62);
  assert.deepEqual(port.machine.irqLog, [[IRQ, false], [IRQ, true]], "an edge for each byte");
  port.out(Register.IER_DLM, 0);
  assert.equal(port.line(), false);
  port.out(Register.IER_DLM, IER.THRI);
  assert.equal(port.line(), true);
});

Deno.test("serial: output with interrupts off does not touch the interrupt line", () => {
  const port = open();
  port.out(Register.MCR, MCR.OUT2);
  for (let i = 0; i < 100; i++) port.out(THR, i);
  assert.deepEqual(port.machine.irqLog, []);
});

Deno.test("serial: OUT2 connects the interrupt to its line", () => {
  const port = open();
  port.out(Register.IER_DLM, IER.RDI);
  port.put("a");
  assert.equal(port.in(Register.IIR_FCR), IIR.RDI);
  assert.equal(port.line(), false);
  port.out(Register.MCR, MCR.OUT2);
  assert.equal(port.line(), true);
  port.out(Register.MCR, 0);
  assert.equal(port.line(), false);
});

Deno.test("serial: a reader that does not keep up takes THRE away until it does", () => {
  const port = open();
  port.drive(IER.THRI);
  port.in(Register.IIR_FCR);
  port.machine.outputReady = false;
  port.out(THR, 0x61);
  assert.equal(port.in(Register.LSR), 0);
  assert.equal(port.line(), false);
  assert.equal(port.machine.rearms, 1);
  port.out(THR, 0x62);
  assert.equal(port.machine.rearms, 1, "one timer does");
  port.machine.advance(50, port.device);
  assert.equal(port.line(), false);
  port.machine.outputReady = true;
  port.machine.advance(50, port.device);
  assert.equal(port.line(), true);
  assert.equal(port.in(Register.IIR_FCR), IIR.FIFO | IIR.THRI);
  assert.equal(port.device.deadline!(), Infinity);
  assert.equal(port.machine.text(), "ab", "a byte written all the same is not kept back");
});

Deno.test("serial: a driver that gives up on THRE ends the wait for the reader", () => {
  const port = open();
  port.machine.outputReady = false;
  port.drive(IER.THRI);
  assert.notEqual(port.device.deadline!(), Infinity);
  port.out(Register.IER_DLM, 0);
  port.machine.advance(50, port.device);
  assert.equal(port.device.deadline!(), Infinity);
});

Deno.test("serial: a break comes as a zero byte with BI, when its turn has come", () => {
  const port = open();
  port.out(Register.IIR_FCR, FCR.ENABLE);
  port.put("a");
  assert.equal(port.device.action!("break"), true);
  port.put("b");
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR | LSR.FIFO_ERROR);
  assert.equal(port.in(RBR), 0x61);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR | LSR.BI | LSR.FIFO_ERROR);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR, "reading LSR clears it");
  assert.equal(port.in(RBR), 0);
  assert.equal(port.in(RBR), 0x62);
  assert.equal(port.device.action!("powerbutton"), false);
});

Deno.test("serial: overrun loses the new byte of a full FIFO, and the old one without a FIFO", () => {
  const port = open();
  port.put("a");
  port.device.action!("break");
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR | LSR.OE | LSR.BI);
  assert.equal(port.in(RBR), 0);
  port.drive(IER.RLSI);
  port.put("0123456789abcdef");
  port.device.action!("break");
  assert.equal(port.line(), true);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR | LSR.OE);
  assert.equal(port.line(), false);
  assert.equal(port.in(RBR), 0x30);
});

Deno.test("serial: loopback wraps data and modem lines, and cuts the cable", () => {
  const port = open();
  port.out(Register.MCR, MCR.LOOP | MCR.OUT2 | MCR.RTS);
  assert.equal(port.in(Register.MSR) & 0xf0, 0x90, "what Linux' 8250 driver looks for");
  for (
    const [mcr, msr] of [[MCR.RTS, MSR.CTS], [MCR.DTR, MSR.DSR], [MCR.OUT1, MSR.RI], [
      MCR.OUT2,
      MSR.DCD,
    ]] as const
  ) {
    port.out(Register.MCR, MCR.LOOP | mcr);
    assert.equal(port.in(Register.MSR) & 0xf0, msr);
  }
  assert.equal(port.put("x"), 0);
  port.out(THR, 0x55);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR);
  port.out(THR, 0x56);
  assert.equal(port.in(Register.LSR), IDLE | LSR.DR | LSR.OE);
  assert.equal(port.in(RBR), 0x56);
  assert.deepEqual(port.machine.output, []);
  const { rearms } = port.machine;
  port.out(Register.MCR, 0);
  assert.equal(port.machine.rearms, rearms + 1, "refused input is asked for again");
});

Deno.test("serial: MSR's delta bits say what changed since it was read", () => {
  const port = open();
  port.out(Register.MCR, MCR.LOOP);
  assert.equal(port.in(Register.MSR), MSR.DCTS | MSR.DDSR | MSR.DDCD);
  assert.equal(port.in(Register.MSR), 0);
  port.out(Register.MCR, MCR.LOOP | MCR.OUT1);
  assert.equal(port.in(Register.MSR), MSR.RI, "RI's rise is no event");
  port.out(Register.MCR, MCR.LOOP);
  assert.equal(port.in(Register.MSR), MSR.TERI);
});

Deno.test("serial: two instances over one slice are one port", () => {
  const port = open();
  const other = serial.open({ port: 0x3f8, irq: IRQ }, port.machine.context);
  port.drive(IER.RDI);
  assert.equal(other.receive!(new Uint8Array([0x41])), 1);
  assert.equal(port.in(RBR), 0x41);
  assert.equal(other.ranges[0]!.handler.read(Register.MCR, 1), MCR.OUT2);
});

Deno.test("serial: reset puts everything back", () => {
  const port = open();
  const fresh = port.machine.context.state.buffer.slice(0);
  port.drive(IER.MASK);
  port.put("abc");
  port.machine.outputReady = false;
  port.out(THR, 1);
  port.device.reset();
  port.machine.outputReady = true;
  assert.equal(port.line(), false);
  const { state } = port.machine.context;
  const now = new serial.state(state).toJSON();
  const then = new serial.state(new DataView(fresh)).toJSON();
  assert.deepEqual({ ...now, rcvr: "" }, { ...then, rcvr: "" });
});
