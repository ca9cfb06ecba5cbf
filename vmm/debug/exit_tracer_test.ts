import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { Exit } from "../../ffi/kvm/exit.ts";
import { RunOffset } from "../../ffi/kvm/structs.ts";
import { Bus } from "../bus.ts";
import { ACCESS_WRITE, EXIT_BYTES, ExitDouble, ExitWord } from "./exit_layout.ts";
import { ExitTracer } from "./exit_tracer.ts";
import { RecordRing } from "./record_ring.ts";
import type { ExitFilter } from "./watch_plan.ts";

const DATA = 0x1000;
const SERIAL = 5;
const CARD = 6;

/** A vCPU with a device at ports 0x3f8-0x3ff and one at 4 KiB of addresses, and who traces it. */
function traced(...filters: ExitFilter[]) {
  const bus = new Bus(new Int32Array(new SharedArrayBuffer(256)));
  const handler = { read: () => 0, write: () => {} };
  bus.attach("serial0", SERIAL, [{ space: "pio", base: 0x3f8, size: 8, maxWidth: 1, handler }]);
  const range = { space: "mmio", base: 0xd_0000_0000, size: 0x1000, maxWidth: 4 } as const;
  bus.attach("card0", CARD, [{ ...range, handler }]);
  const run = new DataView(new ArrayBuffer(0x2000));
  const rings = filters.map(() => RecordRing.create(EXIT_BYTES, 8));
  const tracer = new ExitTracer(
    run.buffer,
    bus,
    rings.map((ring, i) => ({ ring: ring.buffer, filter: filters[i]! })),
  );
  const leave = (reason: number, answer = () => {}) => {
    run.setUint32(RunOffset.exit_reason, reason, true);
    tracer.exited();
    answer();
    tracer.answered();
  };
  return {
    tracer,
    port(port: number, size: number, write: boolean, value: number, count = 1) {
      run.setUint8(RunOffset["io.direction"], write ? 1 : 0);
      run.setUint8(RunOffset["io.size"], size);
      run.setUint16(RunOffset["io.port"], port, true);
      run.setUint32(RunOffset["io.count"], count, true);
      run.setUint32(RunOffset["io.data_offset"], DATA, true);
      const data = () => run.setUint32(DATA, value, true);
      if (write) data();
      leave(Exit.IO, write ? undefined : data);
    },
    memory(address: number, size: number, write: boolean, value: bigint) {
      run.setBigUint64(RunOffset["mmio.phys_addr"], BigInt(address), true);
      run.setUint32(RunOffset["mmio.len"], size, true);
      run.setUint8(RunOffset["mmio.is_write"], write ? 1 : 0);
      const data = () => run.setBigUint64(RunOffset["mmio.data"], value, true);
      if (write) data();
      leave(Exit.MMIO, write ? undefined : data);
    },
    leave,
    /** What a ring has got: reason, access, count, device, address, value. */
    got(ring = 0): (number | bigint)[][] {
      const view = new DataView(rings[ring]!.buffer);
      const records: (number | bigint)[][] = [];
      rings[ring]!.drain((at) => {
        assert.ok(view.getFloat64(at + 8 * ExitDouble.TIME, true) > 0);
        assert.ok(view.getFloat64(at + 8 * ExitDouble.TOOK, true) >= 0);
        const word = (index: number) => view.getUint32(at + 4 * index, true);
        const wide = (index: number) => view.getBigUint64(at + 4 * index, true);
        records.push([
          ...[word(ExitWord.REASON), word(ExitWord.ACCESS), word(ExitWord.COUNT)],
          ...[word(ExitWord.DEVICE), wide(ExitWord.ADDRESS), wide(ExitWord.VALUE)],
        ]);
      });
      return records;
    },
  };
}

Deno.test("accesses to ports and addresses are recorded with value and device", () => {
  const vcpu = traced({});
  vcpu.port(0x3f8, 1, true, 0x41);
  vcpu.port(0x3fd, 1, false, 0x60);
  vcpu.port(0x300, 4, false, 0xffff_ffff);
  vcpu.port(0x3f8, 2, true, 0x4241, 7);
  vcpu.memory(0xd_0000_0008, 8, true, 0x8877_6655_4433_2211n);
  vcpu.memory(0xe_0000_0000, 2, false, 0xbeefn);
  assert.deepEqual(vcpu.got(), [
    [Exit.IO, ACCESS_WRITE | 1, 1, SERIAL, 0x3f8n, 0x41n],
    [Exit.IO, 1, 1, SERIAL, 0x3fdn, 0x60n],
    [Exit.IO, 4, 1, 0, 0x300n, 0xffff_ffffn],
    [Exit.IO, ACCESS_WRITE | 2, 7, SERIAL, 0x3f8n, 0x4241n],
    [Exit.MMIO, ACCESS_WRITE | 8, 1, CARD, 0xd_0000_0008n, 0x8877_6655_4433_2211n],
    [Exit.MMIO, 2, 1, 0, 0xe_0000_0000n, 0xbeefn],
  ]);
});

Deno.test("other exits, kicks and the exit that ends the VM are recorded once", () => {
  const vcpu = traced({});
  vcpu.leave(Exit.HLT);
  vcpu.tracer.interrupted();
  vcpu.tracer.answered();
  vcpu.tracer.answered();
  assert.deepEqual(vcpu.got().map(([reason]) => reason), [Exit.HLT, Exit.INTR]);
});

Deno.test("each reader gets what its filter lets through", () => {
  const span = (base: number, end: number) => ({ base, end });
  const vcpu = traced(
    { reasons: [Exit.MMIO, Exit.HLT] },
    { device: SERIAL },
    { ports: span(0x300, 0x301) },
    { addresses: span(0xd_0000_0000, 0xd_0000_1000) },
    { ports: span(0x3f9, 0x3fa), addresses: span(0xe_0000_0000, 0xe_0000_0001) },
    { reasons: [Exit.IO], device: CARD },
  );
  vcpu.port(0x3f8, 2, true, 0);
  vcpu.port(0x2ff, 2, true, 0);
  vcpu.port(0x301, 1, true, 0);
  vcpu.memory(0xd_0000_0ffe, 4, true, 0n);
  vcpu.memory(0xe_0000_0000, 1, true, 0n);
  vcpu.leave(Exit.HLT);
  const addresses = [0, 1, 2, 3, 4, 5].map((ring) => vcpu.got(ring).map((record) => record[4]));
  assert.deepEqual(addresses, [
    [0xd_0000_0ffen, 0xe_0000_0000n, 0n],
    [0x3f8n],
    [0x2ffn],
    [0xd_0000_0ffen],
    [0x3f8n, 0xe_0000_0000n],
    [],
  ]);
});
