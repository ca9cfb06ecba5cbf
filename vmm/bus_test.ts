import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../ffi/errors.ts";
import { Bus } from "./bus.ts";
import type { IoRange, Width } from "./device.ts";

/** Answers as plain memory would, and notes each access as `r1@offset` or `w1@offset=value`. */
class Scratch {
  readonly bytes: Uint8Array;
  readonly log: string[] = [];

  constructor(size: number) {
    this.bytes = Uint8Array.from({ length: size }, (_, i) => 0x10 + i);
  }

  read(offset: number, width: Width): number {
    this.log.push(`r${width}@${offset}`);
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.bytes[offset + i]!;
    return value;
  }

  write(offset: number, width: Width, value: number): void {
    this.log.push(`w${width}@${offset}=${value.toString(16)}`);
    for (let i = 0; i < width; i++) this.bytes[offset + i] = value >>> (8 * i);
  }

  taken(): string {
    return this.log.splice(0).join(" ");
  }
}

const words = () => new Int32Array(new SharedArrayBuffer(64));

function busWith(space: IoRange["space"], base: number, size: number, maxWidth: Width) {
  const bus = new Bus(words());
  const handler = new Scratch(size);
  bus.attach("scratch", 0, [{ space, base, size, maxWidth, handler }]);
  return { bus, handler };
}

Deno.test("what nobody answers reads as all ones of its width, and takes writes", () => {
  const bus = new Bus(words());
  assert.deepEqual([1, 2, 4].map((w) => bus.readPort(0x80, w as Width)), [
    0xff,
    0xffff,
    2 ** 32 - 1,
  ]);
  assert.deepEqual(
    [1, 2, 4].map((w) => bus.readMemory(0xd000_0000, w as Width)),
    [0xff, 0xffff, 2 ** 32 - 1],
  );
  bus.writePort(0xffff, 4, 1);
  bus.writeMemory(2 ** 52, 4, 1);
});

Deno.test("an access goes to the range that holds it, with the offset in that range", () => {
  const bus = new Bus(words());
  const [first, second] = [new Scratch(4), new Scratch(8)];
  bus.attach("a", 0, [
    { space: "pio", base: 0x100, size: 4, maxWidth: 4, handler: first },
    { space: "mmio", base: 0x1_0000_0000, size: 8, maxWidth: 4, handler: second },
  ]);
  assert.equal(bus.readPort(0x102, 2), 0x1312);
  assert.equal(first.taken(), "r2@2");
  assert.equal(bus.readMemory(0x1_0000_0004, 4), 0x17161514);
  bus.writeMemory(0x1_0000_0001, 1, 0xaa);
  assert.equal(second.taken(), "r4@4 w1@1=aa");
  assert.equal(bus.readMemory(4, 4), 2 ** 32 - 1); // the low 32 bits alone are nobody's
});

for (const space of ["pio", "mmio"] as const) {
  const base = space === "pio" ? 0x500 : 0xd000_0000;
  const ops = (bus: Bus) =>
    space === "pio"
      ? { read: bus.readPort.bind(bus), write: bus.writePort.bind(bus) }
      : { read: bus.readMemory.bind(bus), write: bus.writeMemory.bind(bus) };

  Deno.test(`${space}: an access wider than the device takes is split, low address first`, () => {
    const { bus, handler } = busWith(space, base, 8, 1);
    const { read, write } = ops(bus);
    assert.equal(read(base + 1, 4), 0x14131211);
    assert.equal(handler.taken(), "r1@1 r1@2 r1@3 r1@4");
    write(base, 4, 0xdeadbeef);
    assert.equal(handler.taken(), "w1@0=ef w1@1=be w1@2=ad w1@3=de");
    const halves = busWith(space, base, 8, 2);
    ops(halves.bus).write(base + 2, 4, 0xdeadbeef);
    assert.equal(halves.handler.taken(), "w2@2=beef w2@4=dead");
  });

  Deno.test(`${space}: an access over a range's end reads ones behind it, and never passes the end`, () => {
    const { bus, handler } = busWith(space, base, 3, 4);
    const { read, write } = ops(bus);
    assert.equal(read(base + 1, 4), 0xffff1211);
    assert.equal(handler.taken(), "r2@1");
    assert.equal(read(base + 2, 2), 0xff12);
    assert.equal(handler.taken(), "r1@2");
    assert.equal(read(base - 1, 4), 0x121110ff);
    assert.equal(handler.taken(), "r1@0 r2@1");
    write(base + 2, 4, 0x44332211);
    assert.equal(handler.taken(), "w1@2=11");
  });

  Deno.test(`${space}: an access over two devices reaches both`, () => {
    const bus = new Bus(words());
    const [low, high] = [new Scratch(2), new Scratch(2)];
    bus.attach("low", 0, [{ space, base, size: 2, maxWidth: 4, handler: low }]);
    bus.attach("high", 1, [{ space, base: base + 2, size: 2, maxWidth: 1, handler: high }]);
    const { read, write } = ops(bus);
    assert.equal(read(base, 4), 0x11101110);
    assert.equal(low.taken() + " " + high.taken(), "r2@0 r1@0 r1@1");
    write(base + 1, 2, 0xaabb);
    assert.equal(low.taken() + " " + high.taken(), "w1@1=bb w1@0=aa");
  });

  Deno.test(`${space}: whatever is written comes back, at every place and width`, () => {
    const { bus } = busWith(space, base, 16, 2);
    const { read, write } = ops(bus);
    fc.assert(fc.property(
      fc.constantFrom<Width>(1, 2, 4),
      fc.integer({ min: 0, max: 12 }),
      fc.integer({ min: 0, max: 2 ** 32 - 1 }),
      (width, offset, value) => {
        const cut = width === 4 ? value : value % 2 ** (8 * width);
        write(base + offset, width, cut);
        assert.equal(read(base + offset, width), cut);
      },
    ));
  });

  Deno.test(`${space}: a range that overlaps another is refused, naming both`, () => {
    const range = (base: number, size: number): IoRange => ({
      space,
      base,
      size,
      maxWidth: 1,
      handler: new Scratch(size),
    });
    const bus = new Bus(words());
    bus.attach("first", 0, [range(base, 8)]);
    for (const [at, size] of [[base, 8], [base + 7, 1], [base - 1, 2], [base - 1, 16]] as const) {
      assert.throws(
        () => bus.attach("second", 1, [range(at, size)]),
        (error) =>
          error instanceof DocumentError && /second/.test(error.message) &&
          /first has 0x/.test(error.message),
      );
    }
    bus.attach("below", 2, [range(base - 2, 2)]);
    bus.attach("above", 3, [range(base + 8, 2)]);
  });
}

Deno.test("of ranges of ports over one another, the one of higher priority gets what starts in it", () => {
  const [wide, narrow, lowest] = [new Scratch(4), new Scratch(1), new Scratch(4)];
  const ranges = [
    { space: "pio", base: 0xcf8, size: 4, maxWidth: 4, handler: wide, priority: -1 },
    { space: "pio", base: 0xcf9, size: 1, maxWidth: 1, handler: narrow },
    { space: "pio", base: 0xcf8, size: 4, maxWidth: 4, handler: lowest, priority: -2 },
  ] as const;
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 0, 2]]) {
    const bus = new Bus(words());
    for (const i of order) bus.attach(`device${i}`, i, [ranges[i]!]);
    bus.writePort(0xcf8, 4, 0x8000_0600);
    bus.writePort(0xcf9, 1, 0x06);
    bus.writePort(0xcfa, 2, 0x1234);
    assert.equal(wide.taken(), "w4@0=80000600 w2@2=1234");
    assert.equal(narrow.taken(), "w1@0=6");
    assert.equal(lowest.taken(), "");
    assert.throws(
      () => bus.attach("more", 3, [ranges[1]]),
      /more wants ports 0xcf9-0xcf9: device1/,
    );
  }
});

Deno.test("ports beyond 0xffff are refused, and an access at the top wraps to port 0", () => {
  const bus = new Bus(words());
  const range = (base: number): IoRange => ({
    space: "pio",
    base,
    size: 2,
    maxWidth: 4,
    handler: new Scratch(2),
  });
  assert.throws(() => bus.attach("late", 0, [range(0xffff)]), /late wants ports 0xffff-0x10000/);
  assert.throws(() => bus.attach("early", 0, [range(-1)]), /there are none/);
  bus.attach("top", 0, [range(0xfffe)]);
  bus.attach("bottom", 0, [range(0)]);
  assert.equal(bus.readPort(0xffff, 2), 0x1011);
});

Deno.test("a handler runs under its device's lock, which is free again even if it throws", () => {
  const arena = words();
  const bus = new Bus(arena);
  const held: number[] = [];
  bus.attach("device", 5, [{
    space: "pio",
    base: 0,
    size: 1,
    maxWidth: 1,
    handler: {
      read() {
        held.push(arena[5]!);
        throw new Error("broken");
      },
      write: () => void held.push(arena[5]!),
    },
  }]);
  bus.writePort(0, 1, 0);
  assert.throws(() => bus.readPort(0, 1), /^VmError: Device device: broken$/);
  assert.deepEqual(held, [1, 1]);
  assert.equal(arena[5], 0);
});
