import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import type { VcpuBytes } from "../../ffi/kvm/state_bytes.ts";
import type { Json } from "../../ffi/struct.ts";
import { vcpuFromJson, type VcpuState, vcpuToJson } from "./vcpu_state.ts";

/** The pieces of a vCPU and how long they are. */
const SIZES = [
  ["SET_NESTED_STATE", 128],
  ["SET_SREGS", 312],
  ["SET_REGS", 144],
  ["SET_XCRS", 392],
  ["SET_XSAVE", 4096],
  ["SET_DEBUGREGS", 128],
  ["SET_LAPIC", 1024],
  ["SET_VCPU_EVENTS", 64],
  ["SET_MP_STATE", 4],
] as const;

const WHERE = "cpu/0.json";

function powerOn(irqchip = true): VcpuBytes {
  const pieces = SIZES.filter(([set]) =>
    irqchip || (set !== "SET_LAPIC" && set !== "SET_MP_STATE")
  );
  return {
    pieces: pieces.map(([set, size]) => ({ set, bytes: new Uint8Array(size) })),
    msrs: new Map(),
  };
}

function stateOf(fill: (size: number) => Uint8Array<ArrayBuffer>): VcpuState {
  const pieces = SIZES.map(([set, size]) => ({ set, bytes: fill(size) }));
  const msrs = new Map([[0xc000_0080, 0xd01n], [0x6e0, 2n ** 64n - 1n]]);
  const leaf = {
    function: 0x8000_0001,
    index: 0,
    flags: 1,
    eax: 0xffff_ffff,
    ebx: 1,
    ecx: 2,
    edx: 3,
  };
  return { bytes: { pieces, msrs }, tsc: 2n ** 63n, cpuid: [leaf] };
}

const through = (json: unknown) => JSON.parse(JSON.stringify(json)) as Json;

/** Structs whose padding is not said, and a local APIC's page, of which only registers are. */
function said(set: string, bytes: Uint8Array): Uint8Array {
  if (set !== "SET_LAPIC") return bytes;
  return bytes.map((byte, i) => i % 16 < 4 ? byte : 0);
}

Deno.test("a vCPU's state is read as it was written, all of its bytes", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
      let next = seed;
      const state = stateOf((size) => {
        return Uint8Array.from(
          { length: size },
          () => (next = (next * 1103515245 + 12345) >>> 0) >>> 24,
        );
      });
      const json = through(vcpuToJson(state));
      const back = vcpuFromJson(json, WHERE, powerOn());
      assert.deepEqual([back.tsc, back.cpuid, back.bytes.msrs], [
        state.tsc,
        state.cpuid,
        state.bytes.msrs,
      ]);
      for (const [i, { set, bytes }] of state.bytes.pieces.entries()) {
        assert.deepEqual(back.bytes.pieces[i]!.bytes, said(set, bytes), set);
      }
      // What was read says the same again.
      assert.deepEqual(through(vcpuToJson(back)), json);
    }),
    { numRuns: 20 },
  );
});

Deno.test("a record that says nothing is a vCPU at power-on", () => {
  const { bytes, tsc, cpuid } = vcpuFromJson({ cpuid: [] }, WHERE, powerOn());
  assert.deepEqual([bytes, tsc, cpuid], [powerOn(), 0n, []]);
});

Deno.test("an XSAVE area from a host whose own is smaller fits, from a larger one only by its zeros", () => {
  const record = (bytes: Uint8Array) => ({ cpuid: [], xsave: bytes.toBase64() });
  const small = vcpuFromJson(record(new Uint8Array(832).fill(7)), WHERE, powerOn());
  const area = small.bytes.pieces.find(({ set }) => set === "SET_XSAVE")!.bytes;
  assert.ok(area.every((byte, i) => byte === (i < 832 ? 7 : 0)));
  assert.throws(
    () => vcpuFromJson(record(new Uint8Array(4097).fill(7)), WHERE, powerOn()),
    /^DocumentError: cpu\/0\.json, xsave: has 4097 bytes, more than this host's 4096/,
  );
});

const leaf = { leaf: "0x0", eax: "0x0", ebx: "0x0", ecx: "0x0", edx: "0x0" };

/** Values that no key takes. */
const HOSTILE: readonly Json[] = [
  ...[null, true, -1, 0.5, 1e308, 2 ** 64, "", "0x", "NaN", "0x1ffffffffffffffff"],
  ...[[], [[]], [null], {}, { length: 3 }],
];

Deno.test("records that can't be a vCPU's are refused by the record's name and the key", () => {
  const cases: [Json, RegExp][] = [
    [null, /^cpu\/0\.json, the record: is no object/],
    [[], /^cpu\/0\.json, the record: is no object/],
    ["x", /^cpu\/0\.json, the record: is no object/],
    [{}, /^cpu\/0\.json, cpuid: is no array/],
    [{ cpuid: [null] }, /^cpu\/0\.json, cpuid: is no object/],
    [{ cpuid: [{}] }, /^cpu\/0\.json, cpuid: is undefined/],
    [{ cpuid: [{ ...leaf, index: -1 }] }, /^cpu\/0\.json, cpuid: /],
    [{ cpuid: [{ ...leaf, index: 0.5 }] }, /^cpu\/0\.json, cpuid: /],
    [{ cpuid: [{ ...leaf, flags: 2 ** 40 }] }, /^cpu\/0\.json, cpuid: /],
    [{ cpuid: Array(257).fill(leaf) }, /^cpu\/0\.json, cpuid: has 257 leaves/],
    [{ cpuid: [], regs: { rip: 5 } }, /^cpu\/0\.json, regs: kvm_regs\.rip is not a 64-bit number/],
    [{ cpuid: [], regs: { eip: "0x0" } }, /^cpu\/0\.json, regs: kvm_regs has no field "eip"/],
    [
      { cpuid: [], regs: { constructor: {} } },
      /^cpu\/0\.json, regs: kvm_regs has no field "constr/,
    ],
    [JSON.parse('{"cpuid":[],"regs":{"__proto__":{}}}'), /regs: kvm_regs has no field "__proto__"/],
    [JSON.parse('{"cpuid":[],"__proto__":{"regs":5}}'), /./],
    [{ cpuid: [], sregs: { cs: { dpl: 256 } } }, /^cpu\/0\.json, sregs: kvm_sregs\.cs\.dpl is not/],
    [{ cpuid: [], lapic: { "0x400": "0x0" } }, /^cpu\/0\.json, lapic: has no register "0x400"/],
    [{ cpuid: [], lapic: { "0x21": "0x0" } }, /^cpu\/0\.json, lapic: has no register/],
    [{ cpuid: [], lapic: { "": "0x0" } }, /^cpu\/0\.json, lapic: has no register ""/],
    [{ cpuid: [], lapic: { "-16": "0x0" } }, /^cpu\/0\.json, lapic: has no register/],
    [{ cpuid: [], lapic: { "0x20": "0x100000000" } }, /^cpu\/0\.json, lapic: is "0x100000000"/],
    [{ cpuid: [], msrs: { "0x100000000": "0x0" } }, /^cpu\/0\.json, msrs: /],
    [{ cpuid: [], msrs: { "0x10": 5 } }, /^cpu\/0\.json, msrs: is 5/],
    [
      {
        cpuid: [],
        msrs: Object.fromEntries(
          Array.from({ length: 257 }, (_, i) => [`0x${i.toString(16)}`, "0x0"]),
        ),
      },
      /^cpu\/0\.json, msrs: has 257 registers/,
    ],
    [{ cpuid: [], tsc: -1 }, /^cpu\/0\.json, tsc: is -1/],
    [{ cpuid: [], xsave: "€" }, /^cpu\/0\.json, xsave: is no base64/],
  ];
  for (const [json, says] of cases) {
    if (says.source === ".") {
      vcpuFromJson(json, WHERE, powerOn()); // a key like any other that nobody knows
      continue;
    }
    assert.throws(() => vcpuFromJson(json, WHERE, powerOn()), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  }
  assert.throws(
    () => vcpuFromJson({ cpuid: [], lapic: {} }, WHERE, powerOn(false)),
    /"lapic" is what this machine has not/,
  );
});

Deno.test("whatever stands in place of a value, a record is read or refused by its name", () => {
  const good = through(vcpuToJson(stateOf((size) => new Uint8Array(size).fill(1)))) as {
    [key: string]: Json;
  };
  const keys = Object.keys(good);
  for (const key of keys) {
    for (const value of HOSTILE) {
      try {
        vcpuFromJson({ ...good, [key]: value }, WHERE, powerOn());
      } catch (error) {
        assert.ok(error instanceof DocumentError, (error as Error).stack);
        assert.ok(error.message.startsWith(`${WHERE}, ${key}: `), error.message);
      }
    }
  }
  fc.assert(
    fc.property(fc.constantFrom(...keys), fc.jsonValue(), (key, value) => {
      try {
        vcpuFromJson({ ...good, [key]: value as Json }, WHERE, powerOn());
      } catch (error) {
        assert.ok(error instanceof DocumentError, (error as Error).stack);
      }
    }),
    { numRuns: 300 },
  );
});
