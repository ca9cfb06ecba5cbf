import assert from "node:assert/strict";
import fc from "fast-check";
import { NetFeature } from "./features.ts";
import { NetHeader } from "./header.ts";

const ALL = () => true;

Deno.test("a finished frame's header is all zero, whatever it hints at", () => {
  const header = new NetHeader();
  header.bytes.set([2, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
  assert(header.check(60, ALL));
  assert.deepEqual([...header.bytes], new Array(12).fill(0));
});

Deno.test("whatever the guest writes: what is let through is inside the frame and negotiated", () => {
  const bytes = fc.uint8Array({ minLength: 12, maxLength: 12 });
  const types = fc.constantFrom(0, 1, 3, 4, 5, 0x81, 0x84);
  const bits = fc.uniqueArray(fc.constantFrom(...Object.values(NetFeature)));
  let passed = 0;
  fc.assert(
    fc.property(
      bytes,
      types,
      bits,
      fc.integer({ min: 14, max: 65550 }),
      (raw, type, has, length) => {
        const header = new NetHeader();
        header.bytes.set(raw);
        header.bytes[1] = type;
        if (!header.check(length, (bit) => (has as number[]).includes(bit))) return;
        passed++;
        const view = new DataView(header.bytes.buffer);
        const [flags, gso] = [view.getUint8(0), view.getUint8(1)];
        assert.equal(view.getUint16(10, true), 0);
        if (flags === 0) {
          assert(header.bytes.every((byte) => byte === 0));
          return;
        }
        assert.equal(flags, 1);
        assert((has as number[]).includes(NetFeature.CSUM));
        const start = view.getUint16(6, true);
        assert(start >= 14 && start + view.getUint16(8, true) + 2 <= length);
        if (gso === 0) return;
        assert(view.getUint16(4, true) > 0 && view.getUint16(2, true) <= length);
        const wants = { 1: 11, 3: 14, 4: 12, 5: 56 }[gso & 0x7f]!;
        assert((has as number[]).includes(wants));
        if ((gso & 0x80) !== 0) assert((has as number[]).includes(NetFeature.HOST_ECN));
      },
    ),
    { numRuns: 5000 },
  );
  assert(passed > 50);
});
