import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import type { CallStack } from "./call_stacks.ts";
import { flameGraph } from "./flame_graph.ts";
import { folded } from "./folded.ts";
import { pprof } from "./pprof.ts";

/** Names as a hostile guest could have them. */
const name = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom(";", "\n", "a b", "<&>\"'"));
const frame = fc.record({ name, address: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) });
const stack: fc.Arbitrary<CallStack> = fc.record({
  frames: fc.array(frame, { minLength: 1, maxLength: 8 }),
  mode: fc.constantFrom("kernel", "user", "idle"),
  cr3: fc.constant(0n),
  samples: fc.integer({ min: 1, max: 1e9 }),
});
const stacks = fc.array(stack, { maxLength: 20 });
const total = (all: readonly CallStack[]) => all.reduce((sum, { samples }) => sum + samples, 0);

const plain: CallStack[] = [
  { frames: [{ name: "a" }, { name: "b", address: 1n }], mode: "kernel", cr3: 0n, samples: 3 },
  { frames: [{ name: "a" }, { name: "c", address: 2n }], mode: "kernel", cr3: 0n, samples: 1 },
];

Deno.test("folded stacks are lines, whatever the names: none is lost", () => {
  fc.assert(fc.property(stacks, (all) => {
    const text = folded(all);
    const lines = text.split("\n");
    assert.equal(lines.pop(), "");
    let sum = 0;
    for (const line of lines) {
      const match = /^(.*) (\d+)$/su.exec(line);
      assert.ok(match);
      sum += Number(match[2]);
      assert.ok(all.some(({ frames }) => frames.length === match[1]!.split(";").length));
    }
    assert.equal(sum, total(all));
  }));
});

Deno.test("a flame graph has a box for each frame, as wide as its share", () => {
  const svg = flameGraph(plain, "web");
  const boxes = [...svg.matchAll(/<title>(\S+): (\d+) samples.*?width="([\d.]+)"/g)];
  assert.deepEqual(boxes.map(([, name, samples, width]) => `${name} ${samples} ${width}`), [
    "all 4 1180.0",
    "a 4 1180.0",
    "b 3 885.0",
    "c 1 295.0",
  ]);
});

Deno.test("a flame graph is XML, whatever the names", () => {
  fc.assert(fc.property(stacks, name, (all, title) => {
    const svg = flameGraph(all, title);
    // Outside of tags there is text in which nothing begins a tag or an entity but our own.
    const text = svg.replace(/<[a-z/][^<>]*>/g, "").replace(/&(amp|lt|gt|quot|apos);/g, "");
    assert.doesNotMatch(text, /[<>&]/);
    assert.doesNotMatch(svg, /[^\P{Cc}\n]/u);
    assert.equal(svg.split("<g>").length, svg.split("</g>").length);
  }));
});

/** A message of protocol buffers: its fields in order, numbers and bytes. */
function fields(bytes: Uint8Array): [number, bigint | Uint8Array][] {
  const found: [number, bigint | Uint8Array][] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n;; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    if ((key & 7n) === 0n) found.push([Number(key >> 3n), varint()]);
    else {
      assert.equal(key & 7n, 2n);
      const length = Number(varint());
      assert.ok(at + length <= bytes.length);
      found.push([Number(key >> 3n), bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return found;
}

function packed(bytes: Uint8Array): bigint[] {
  const numbers: bigint[] = [];
  let value = 0n;
  let shift = 0n;
  for (const byte of bytes) {
    value |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte < 0x80) {
      numbers.push(value);
      [value, shift] = [0n, 0n];
    }
  }
  return numbers;
}

/** What pprof would read: for each sample its functions and addresses, the innermost first. */
function read(file: Uint8Array) {
  const all = fields(gunzipSync(file));
  const messages = (field: number) =>
    all.filter(([number]) => number === field).map(([, bytes]) => bytes as Uint8Array);
  const one = (message: Uint8Array, field: number) =>
    (fields(message).find(([number]) => number === field)?.[1] ?? 0n) as bigint;
  const strings = messages(6).map((bytes) => new TextDecoder().decode(bytes));
  const functions = new Map(messages(5).map((f) => [one(f, 1), strings[Number(one(f, 2))]!]));
  const locations = new Map(
    messages(4).map((location) => {
      const line = fields(location).find(([number]) => number === 4)![1] as Uint8Array;
      return [one(location, 1), {
        name: functions.get(one(line, 1))!,
        address: one(location, 3),
      }];
    }),
  );
  return {
    first: strings[0],
    types: messages(1).map((type) => strings[Number(one(type, 1))]),
    numbers: all.filter(([, value]) => typeof value === "bigint"),
    samples: messages(2).map((message) => {
      const parts = new Map(fields(message) as [number, Uint8Array][]);
      const label = parts.get(3)!;
      return {
        frames: packed(parts.get(1)!).map((id) => locations.get(id)!),
        values: packed(parts.get(2)!),
        label: `${strings[Number(one(label, 1))]}=${strings[Number(one(label, 2))]}`,
      };
    }),
  };
}

Deno.test("a pprof file says types, times and samples", () => {
  const file = pprof(plain, { frequency: 100, timeNanos: 7n, durationNanos: 8n });
  const profile = read(file);
  assert.equal(profile.first, "");
  assert.deepEqual(profile.types, ["samples", "cpu"]);
  assert.deepEqual(profile.numbers, [[12, 10_000_000n], [9, 7n], [10, 8n]]);
  assert.deepEqual(profile.samples[0], {
    frames: [{ name: "b", address: 1n }, { name: "a", address: 0n }],
    values: [3n, 30_000_000n],
    label: "mode=kernel",
  });
});

Deno.test("a pprof file holds every stack, whatever the names", () => {
  fc.assert(fc.property(stacks, (all) => {
    const profile = read(pprof(all, { frequency: 99, timeNanos: 0n, durationNanos: 0n }));
    const wellFormed = (text: string) => text.toWellFormed();
    assert.deepEqual(
      profile.samples.map(({ frames, values }) => [frames, values[0]]),
      all.map(({ frames, samples }) => [
        frames.toReversed().map(({ name, address }) => ({ name: wellFormed(name), address })),
        BigInt(samples),
      ]),
    );
  }));
});
