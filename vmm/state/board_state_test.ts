import assert from "node:assert/strict";
import fc from "fast-check";
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { boardFromJson, type BoardState, boardToJson, nanosecondsSince } from "./board_state.ts";

const WHERE = "board.json";
const CHIP = 8;
/** Bytes of `struct kvm_pic_state`, and of `struct kvm_ioapic_state`. */
const CHIP_BYTES = [16, 16, 216] as const;

function boardOf(fill: (size: number) => Uint8Array): BoardState {
  const irqchips = CHIP_BYTES.map((size, id) => {
    const bytes = new Uint8Array(520);
    bytes[0] = id;
    bytes.set(fill(size), CHIP);
    return bytes;
  });
  const pit = new Uint8Array(112);
  pit.set(fill(76)); // the rest is reserved
  const clock = { clock: 2n ** 63n, realtime: 1_800_000_000_000_000_000n, tscKhz: 2_400_000 };
  return { board: { irqchips, pit }, clock };
}

const through = (json: unknown) => JSON.parse(JSON.stringify(json)) as { [key: string]: Json };

Deno.test("interrupt controllers, timer and clock are read as they were written", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 216, maxLength: 216 }), (bytes) => {
    const state = boardOf((size) => bytes.slice(0, size));
    const json = through(boardToJson(state));
    const back = boardFromJson(json, WHERE);
    assert.deepEqual(back.clock, state.clock);
    assert.deepEqual(back.board!.irqchips, state.board!.irqchips);
    assert.deepEqual(through(boardToJson(back)), json);
  }));
});

Deno.test("a machine without interrupt controllers has a clock", () => {
  const state = { board: undefined, clock: { clock: 1n, realtime: 2n, tscKhz: 3.5 } };
  assert.deepEqual(boardFromJson(through(boardToJson(state)), WHERE), state);
  assert.deepEqual(boardFromJson({}, WHERE).clock, { clock: 0n, realtime: 0n, tscKhz: 0 });
});

Deno.test("a host whose clock is behind finds that no time has passed", () => {
  const reading = (realtime: bigint) => ({ clock: 0n, realtime, tscKhz: 1 });
  assert.equal(nanosecondsSince(reading(2n ** 64n - 1n)), 0n);
  assert.ok(nanosecondsSince(reading(0n)) > 0n);
});

Deno.test("records that can't be are refused by the record's name and the key", () => {
  const good = through(boardToJson(boardOf((size) => new Uint8Array(size).fill(1))));
  const cases: [Json, RegExp][] = [
    [null, /^board\.json, the record: is no object/],
    [[], /^board\.json, the record: is no object/],
    [{ ...good, clock: [] }, /^board\.json, clock: is no object/],
    [{ ...good, clock: { clock: 5 } }, /^board\.json, clock: is 5/],
    [{ ...good, clock: { tsc_khz: -1 } }, /^board\.json, clock: has tsc_khz -1/],
    [{ ...good, clock: { tsc_khz: 1e308 } }, /^board\.json, clock: has tsc_khz 1e\+308/],
    [{ ...good, clock: { tsc_khz: "NaN" } }, /^board\.json, clock: has tsc_khz "NaN"/],
    [{ ...good, ioapic: null }, /^board\.json, ioapic: kvm_ioapic_state is not an object/],
    [{ ...good, ioapic: { redirtbl: [] } }, /^board\.json, ioapic: kvm_ioapic_state\.redirtbl/],
    [{ ...good, pic_master: { irr: 256 } }, /^board\.json, pic_master: kvm_pic_state\.irr/],
    [
      { ...good, pic_slave: { toString: 1 } },
      /^board\.json, pic_slave: kvm_pic_state has no field/,
    ],
    [{ ...good, pit: { channels: {} } }, /^board\.json, pit: kvm_pit_state2\.channels/],
  ];
  for (const [json, says] of cases) {
    assert.throws(() => boardFromJson(json, WHERE), (error: Error) => {
      assert.ok(error instanceof DocumentError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  }
  fc.assert(fc.property(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), (key, value) => {
    try {
      boardFromJson({ ...good, [key]: value as Json }, WHERE);
    } catch (error) {
      assert.ok(error instanceof DocumentError, (error as Error).stack);
    }
  }));
});
