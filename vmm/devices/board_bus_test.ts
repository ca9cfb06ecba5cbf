/** All devices of the board on one bus: none gives way, or gives a neighbour away, to any access. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createDeviceContext, type FakeMachine } from "../../tests/fake_device_context.ts";
import { Bus } from "../bus.ts";
import type { Device, IoRange, Width } from "../device.ts";
import { openDevice } from "../opened_device.ts";
import { planDevices } from "./plan.ts";
import { loadDeviceType } from "./registry.ts";

/** How far into a long range from either end every offset is tried. */
const EDGE = 40;
/** Beyond a range, so that accesses cross into it and out of it. */
const MARGIN = 8;

interface Part {
  readonly name: string;
  readonly device: Device;
  readonly machine: FakeMachine;
  readonly lock: number;
}

/** A machine's devices, each in its power-on state, attached to one bus. */
class Board {
  readonly words = new Int32Array(new SharedArrayBuffer(256));
  readonly bus = new Bus(this.words);
  readonly parts: readonly Part[];

  private constructor(parts: readonly Part[]) {
    this.parts = parts;
    for (const { name, device, lock } of parts) {
      device.reset();
      this.bus.attach(name, lock, device.ranges);
    }
  }

  static async open(kind: "firmware" | "multiboot"): Promise<Board> {
    const own = kind === "firmware"
      ? [{ type: "debug_console", name: "firmware_console", port: 0x402 }]
      : [];
    const plans = planDevices([...own, ...[1, 2, 3, 4].map(() => ({ type: "serial" }))], {
      rtc: { lowMemory: 2 ** 28, highMemory: 2 ** 32, cpus: 4 },
      acpi: false,
      firmware: kind === "firmware",
      testDevice: kind === "multiboot",
    });
    return new Board(
      await Promise.all(plans.map(async ({ name, type, config }, lock) => {
        const kind = await loadDeviceType(type);
        const machine = createDeviceContext(kind);
        const device = openDevice(kind, config, { ...machine.context, name });
        return { name, device, machine, lock };
      })),
    );
  }

  part(name: string): Part {
    return this.parts.find((part) => part.name === name)!;
  }

  /** The access as the vCPU's loop makes it: 8 bytes are two times 4. */
  read(space: IoRange["space"], address: number, width: number): number[] {
    const { bus } = this;
    if (width === 8) {
      return [...this.read(space, address, 4), ...this.read(space, address + 4, 4)];
    }
    const value = space === "pio"
      ? bus.readPort(address & 0xffff, width as Width)
      : bus.readMemory(address, width as Width);
    assert.ok(Number.isInteger(value) && value >= 0 && value < 2 ** (8 * width));
    return Array.from({ length: width }, (_, i) => Math.floor(value / 2 ** (8 * i)) % 256);
  }

  write(space: IoRange["space"], address: number, width: number, value: number): void {
    if (width === 8) {
      this.write(space, address, 4, value);
      this.write(space, address + 4, 4, value);
    } else if (space === "pio") {
      this.bus.writePort(address & 0xffff, width as Width, value % 2 ** (8 * width));
    } else this.bus.writeMemory(address, width as Width, value % 2 ** (8 * width));
  }

  taken(space: IoRange["space"], address: number): boolean {
    return this.parts.some(({ device }) =>
      device.ranges.some((range) =>
        range.space === space && address >= range.base && address < range.base + range.size
      )
    );
  }
}

const byte = (board: Board, port: number) => board.bus.readPort(port, 1);

/** What a device does after its reset, by the first word of its name; false if it does not. */
const WORKS: Record<string, (board: Board, part: Part) => boolean> = {
  serial(board, { device, machine }) {
    const port = device.ranges[0]!.base;
    const written = machine.output.length;
    board.bus.writePort(port + 3, 1, 3); // 8 bits, and DLAB off
    board.bus.writePort(port, 1, 0x41);
    board.bus.writePort(port + 7, 1, 0x5a);
    return byte(board, port + 7) === 0x5a && machine.output.length === written + 1;
  },
  i8042(board) {
    board.bus.writePort(0x64, 1, 0xaa);
    return byte(board, 0x60) === 0x55;
  },
  rtc(board) {
    board.bus.writePort(0x70, 1, 0x0d);
    return byte(board, 0x71) === 0x80;
  },
  pm: (board) => (board.bus.readPort(0x604, 2) & 1) === 1,
  pvpanic: (board) => byte(board, 0x505) === 7,
  debug_exit(board, { machine }) {
    board.bus.writePort(0xf4, 1, 5);
    return machine.stops.at(-1)?.[1] === 5;
  },
  debug_console: (board) => byte(board, 0xe9) === 0xe9,
  firmware_console: (board) => byte(board, 0x402) === 0xe9,
  fw_cfg(board) {
    board.bus.writePort(0x510, 2, 0);
    return [0x51, 0x45, 0x4d, 0x55].every((letter) => byte(board, 0x511) === letter);
  },
  test_device(board) {
    board.bus.writePort(0xe0, 4, 0x1234_5678);
    board.bus.writeMemory(0xff00_0001, 4, 0x1234_5678);
    return board.bus.readPort(0xe0, 4) === 0x1234_5678 &&
      board.bus.readMemory(0xff00_0001, 4) === 0x1234_5678;
  },
};

function works(board: Board, part: Part): boolean {
  return WORKS[part.name.replace(/\d+$/, "")]?.(board, part) ??
    WORKS[part.name]!(board, part);
}

/** Each address of a range, or those at its ends, and those around it. */
function addresses({ base, size }: IoRange): number[] {
  return Array.from({ length: size + 2 * MARGIN }, (_, i) => base + i - MARGIN)
    .filter((address) => address >= 0)
    .filter((address) => address < base + EDGE || address >= base + size - EDGE);
}

const VALUES = [0, 0xff, 0xffff_ffff, 0xa5a5_a5a5, 0x8000_0001, 0x0606_0606];

for (const kind of ["firmware", "multiboot"] as const) {
  const names = (await Board.open(kind)).parts.map(({ name }) => name);

  for (const name of names) {
    Deno.test(`${kind}, ${name}: no access harms another device, and a reset mends it`, async () => {
      const board = await Board.open(kind);
      const tortured = board.part(name);
      // Whose ranges no access of the tortured one's margins touches.
      const others = board.parts.filter(({ device }) =>
        device.ranges.every((range) =>
          tortured.device.ranges.every((own) =>
            own.space !== range.space || range.base >= own.base + own.size + 2 * MARGIN ||
            range.base + range.size <= own.base - 2 * MARGIN
          )
        )
      );
      assert.ok(others.length >= 6);
      for (const range of tortured.device.ranges) {
        for (const width of [1, 2, 4, 8]) {
          for (const address of addresses(range)) {
            for (const value of VALUES) board.write(range.space, address, width, value);
            const bytes = board.read(range.space, address, width);
            for (const [i, value] of bytes.entries()) {
              if (!board.taken(range.space, address + i)) assert.equal(value, 0xff);
            }
          }
        }
      }
      assert.ok(board.words.every((word) => word === 0), "a lock is held");
      for (const other of others) assert.ok(works(board, other), `${other.name} does not work`);
      tortured.device.reset();
      assert.ok(works(board, tortured), "it does not work after its reset");
    });
  }

  Deno.test(`${kind}: no sequence of accesses to the whole board throws or gives a wrong width`, async () => {
    const ranges = (await Board.open(kind)).parts.flatMap(({ device }) => device.ranges);
    const step = fc.constantFrom(...ranges).chain((range) =>
      fc.record({
        space: fc.constant(range.space),
        address: fc.constantFrom(...addresses(range)),
        width: fc.constantFrom(1, 2, 4, 8),
        value: fc.oneof(fc.nat({ max: 0xff }), fc.nat({ max: 0xffff_ffff })),
        write: fc.boolean(),
      })
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 100, size: "max" }), async (steps) => {
        const board = await Board.open(kind);
        for (const { space, address, width, value, write } of steps) {
          if (write) board.write(space, address, width, value);
          else board.read(space, address, width);
        }
        for (const part of board.parts) {
          part.machine.advance(1, part.device);
          part.device.reset();
        }
        for (const part of board.parts) assert.ok(works(board, part), part.name);
      }),
      { numRuns: 40 },
    );
  });
}

Deno.test("all ports that no device of the board has read as ones, and take writes", async () => {
  const board = await Board.open("firmware");
  for (let port = 0; port < 0x1_0000; port++) {
    if (board.taken("pio", port)) continue;
    board.write("pio", port, 1, port);
    assert.equal(byte(board, port), 0xff);
  }
});
