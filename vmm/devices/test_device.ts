/**
 * The device that kvm-unit-tests' x86 tests expect, QEMU's pc-testdev (hw/misc/pc-testdev.c): a
 * port that remembers four bytes, at 0xe0 for accesses as they come and at 0xe8 for bytes; a write
 * of a page's address at 0xe4; an interrupt line for each port from 0x2000 on; and 64 KiB of
 * memory-mapped scratch at 0xff000000.
 *
 * @module
 */
import { array, bytes, type Struct, struct, u8 } from "../../ffi/struct.ts";
import { Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, InterruptLine, Width } from "../device.ts";

const IOPORT = Port.TESTDEV;
const FLUSH = Port.TESTDEV + 4;
const IOPORT_BYTE = Port.TESTDEV + 8;
const IOPORT_SIZE = 4;
const IRQ_LINE = 0x2000;
const IRQ_LINES = 24;
const IOMEM = 0xff00_0000;
const IOMEM_SIZE = 0x1_0000;

/** The test device's state. */
export const TestDeviceState = struct("test_device", {
  ioport: bytes(IOPORT_SIZE),
  /** The interrupt lines as they were last driven. */
  irq: array(u8, IRQ_LINES),
  iomem: bytes(IOMEM_SIZE),
});

class TestDevice implements Device {
  readonly ranges;
  readonly #s: Struct<typeof TestDeviceState>;
  readonly #context: DeviceContext;
  readonly #lines: InterruptLine[] = []; // opened when a test first drives them

  constructor(context: DeviceContext) {
    this.#s = new TestDeviceState(context.state);
    this.#context = context;
    const { view, offset } = this.#s;
    const { ioport, iomem } = TestDeviceState.offsets;
    const port = scratch(view, offset + ioport);
    const flush = { read: () => 0, write: () => {} }; // KVM sees no other mapping of the page here
    const irq = {
      read: (line: number) => this.#s.irq.at(line),
      write: (line: number, _width: number, value: number) => this.#drive(line, value),
    };
    this.ranges = [
      { space: "pio", base: IOPORT, size: IOPORT_SIZE, maxWidth: 4, handler: port },
      { space: "pio", base: FLUSH, size: 4, maxWidth: 4, handler: flush },
      { space: "pio", base: IOPORT_BYTE, size: IOPORT_SIZE, maxWidth: 1, handler: port },
      { space: "pio", base: IRQ_LINE, size: IRQ_LINES, maxWidth: 1, handler: irq },
      {
        space: "mmio",
        base: IOMEM,
        size: IOMEM_SIZE,
        maxWidth: 4,
        handler: scratch(view, offset + iomem),
      },
    ] as const;
  }

  reset(): void {
    this.#s.ioport.fill(0);
    this.#s.iomem.fill(0);
    for (let line = 0; line < IRQ_LINES; line++) {
      if (this.#s.irq.at(line) !== 0) this.#drive(line, 0);
    }
  }

  restored(): void {
    for (let line = 0; line < IRQ_LINES; line++) {
      if (this.#s.irq.at(line) !== 0) this.#drive(line, 1);
    }
  }

  #drive(line: number, value: number): void {
    const level = value !== 0;
    this.#s.irq.set(line, level ? 1 : 0);
    this.#lines[line] ??= this.#context.interrupt(line);
    this.#lines[line].set(level);
  }
}

function scratch(view: DataView, base: number) {
  return {
    read(offset: number, width: Width) {
      if (width === 1) return view.getUint8(base + offset);
      return width === 2
        ? view.getUint16(base + offset, true)
        : view.getUint32(base + offset, true);
    },
    write(offset: number, width: Width, value: number) {
      if (width === 1) view.setUint8(base + offset, value);
      else if (width === 2) view.setUint16(base + offset, value, true);
      else view.setUint32(base + offset, value, true);
    },
  };
}

/** pc-testdev, for kvm-unit-tests. */
export const testDevice: DeviceType<Record<string, unknown>> = {
  type: "test_device",
  state: TestDeviceState,
  open: (_config, context) => new TestDevice(context),
};
