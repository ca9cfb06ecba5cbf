import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addr64,
  array,
  bytes,
  f64,
  i32,
  type Json,
  type Struct,
  struct,
  u16,
  u16be,
  u32,
  u32be,
  u64,
  u64be,
  u8,
} from "./struct.ts";

const Inner = struct("inner", { tag: u8, value: u32 });
const Everything = struct("everything", {
  a: u8,
  b: u16,
  c: u32,
  d: i32,
  e: u64,
  f: addr64,
  g: f64,
  h: u16be,
  i: u32be,
  j: u64be,
  raw: bytes(5),
  list: array(u16, 3),
  inner: Inner,
  inners: array(Inner, 2),
});

const u8s = fc.integer({ min: 0, max: 0xff });
const u16s = fc.integer({ min: 0, max: 0xffff });
const u32s = fc.integer({ min: 0, max: 0xffff_ffff });
const hex64s = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((n) => `0x${n.toString(16)}`);
const inners = fc.record({ tag: u8s, value: u32s }, { noNullPrototype: true });
const everythings = fc.record({
  a: u8s,
  b: u16s,
  c: u32s,
  d: fc.integer(),
  e: hex64s,
  f: fc.maxSafeNat(),
  g: fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => n + 0),
  h: u16s,
  i: u32s,
  j: hex64s,
  raw: fc.uint8Array({ minLength: 5, maxLength: 5 }).map((b) => b.toHex()),
  list: fc.array(u16s, { minLength: 3, maxLength: 3 }),
  inner: inners,
  inners: fc.array(inners, { minLength: 2, maxLength: 2 }),
}, { noNullPrototype: true });

Deno.test("offsets and sizes follow the C rules of natural alignment", () => {
  assert.deepEqual({ ...Inner.offsets }, { tag: 0, value: 4 });
  assert.equal(Inner.size, 8);
  const Mixed = struct("mixed", { a: u8, b: u64, c: u8, d: Inner, e: u8, f: bytes(3) });
  assert.deepEqual({ ...Mixed.offsets }, { a: 0, b: 8, c: 16, d: 20, e: 28, f: 29 });
  assert.equal(Mixed.size, 32);
  assert.equal(Mixed.align, 8);
});

Deno.test("a packed struct has no padding, and a size may be set above the fields' own", () => {
  const Packed = struct("packed", { a: u8, b: u64, c: u16 }, { packed: true });
  assert.deepEqual({ ...Packed.offsets }, { a: 0, b: 1, c: 9 });
  assert.equal(Packed.size, 11);
  assert.equal(struct("padded", { a: u8 }, { size: 64 }).size, 64);
  assert.throws(
    () => struct("small", { a: u64 }, { size: 4 }),
    /struct small needs 8 bytes, not 4/,
  );
});

Deno.test("what toJSON gives comes back through JSON text unchanged", () => {
  fc.assert(fc.property(everythings, (json) => {
    const from = new Everything();
    from.fromJSON(json);
    const text = JSON.stringify(from);
    const to = new Everything();
    to.fromJSON(JSON.parse(text) as Json);
    assert.deepEqual(to.bytes(), from.bytes());
    assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(json)));
  }));
});

Deno.test("any bytes survive the way through JSON", () => {
  const Whole = struct("whole", {
    a: u32,
    g: u32be,
    b: u64,
    c: addr64,
    d: bytes(3),
    e: u8,
    f: i32,
  });
  const addresses = fc.maxSafeNat();
  fc.assert(fc.property(
    fc.uint8Array({ minLength: Whole.size, maxLength: Whole.size }),
    addresses,
    (image, address) => {
      const from = new Whole(new DataView(image.slice().buffer));
      from.c = address; // 64 bits hold more than a number does
      const to = new Whole();
      to.fromJSON(from.toJSON());
      assert.equal(to.bytes().toHex(), from.bytes().toHex());
    },
  ));
});

Deno.test("fields are little-endian unless they say otherwise", () => {
  const Two = struct("two", { little: u32, big: u32be });
  const two = new Two();
  two.little = 0x1122_3344;
  two.big = 0x1122_3344;
  assert.equal(two.bytes().toHex(), "4433221111223344");
});

Deno.test("fromJSON names the field at fault and what it should be", () => {
  const refused = (json: Json, message: RegExp) =>
    assert.throws(() => new Everything().fromJSON(json), (error) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, message);
      return true;
    });
  refused(null, /^everything is not an object$/);
  refused([1], /^everything is not an object$/);
  refused({ z: 1 }, /^everything has no field "z"$/);
  refused({ a: 256 }, /^everything\.a is not a whole number from 0 to 255$/);
  refused({ a: 1.5 }, /everything\.a/);
  refused({ a: NaN }, /everything\.a/);
  refused({ d: 2 ** 31 }, /everything\.d is not a whole number from -2147483648/);
  refused({ e: 1 }, /everything\.e is not a 64-bit number/);
  refused({ e: "0x10000000000000000" }, /everything\.e/);
  refused({ f: -1 }, /everything\.f is not a whole number from 0 to 2\^53-1/);
  refused({ f: 2 ** 53 }, /everything\.f/);
  refused({ g: "1" }, /everything\.g is not a number/);
  refused({ raw: "00" }, /everything\.raw is not 5 bytes long/);
  refused({ raw: "xx" }, /everything\.raw is not hex text/);
  refused({ list: [1, 2] }, /everything\.list is not an array of 3/);
  refused({ list: [1, 2, 70000] }, /everything\.list\[2\] is not/);
  refused({ inners: [{}, { tag: -1 }] }, /everything\.inners\[1\]\.tag is not/);
});

Deno.test("a struct is a live view of its memory, and nested ones are too", () => {
  const memory = new DataView(new ArrayBuffer(64));
  const first = new Everything(new DataView(new ArrayBuffer(Everything.size)));
  const inner = new Inner(memory, 8);
  inner.value = 7;
  assert.equal(memory.getUint32(12, true), 7);
  first.inners.at(1).value = 9;
  assert.equal(first.inners.at(1).value, 9);
  assert.equal(first.toJSON().inners instanceof Array, true);
  first.inner = inner as Struct<typeof Inner>;
  assert.equal(first.inner.value, 7);
});

Deno.test("nothing is read or written outside of the struct's memory", () => {
  const memory = new DataView(new ArrayBuffer(16));
  assert.throws(() => new Inner(memory, 12), RangeError);
  assert.throws(() => new Inner(memory, -1), RangeError);
  const everything = new Everything();
  for (const index of [-1, 3, 0.5, NaN]) {
    assert.throws(() => everything.list.at(index), RangeError);
    assert.throws(() => everything.list.set(index, 1), RangeError);
  }
});

Deno.test("a field cannot have the name of an accessor's own member", () => {
  for (const name of ["view", "offset", "bytes", "toJSON", "fromJSON"]) {
    assert.throws(
      () => struct("s", { [name]: u8 }),
      new RegExp(`^TypeError: struct s .*"${name}"`),
    );
  }
});

Deno.test("a time that never comes goes through JSON too", () => {
  const Timer = struct("timer", { deadline: f64 });
  const timer = new Timer();
  timer.deadline = Infinity;
  const copy = new Timer();
  copy.fromJSON(JSON.parse(JSON.stringify(timer)));
  assert.equal(copy.deadline, Infinity);
  assert.throws(() => copy.fromJSON({ deadline: "soon" }), /timer.deadline is not a number/);
});
