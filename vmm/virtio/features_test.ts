import assert from "node:assert/strict";
import { OfferedFeatures } from "./features.ts";

const VERSION_1 = 1;

Deno.test("a former feature is not offered, but a driver that goes on may have it", () => {
  const features = new OfferedFeatures([2, 40], [1, 41]);
  const [low, high] = [1 << 2, VERSION_1 | 1 << 8];
  assert.equal(features.word(0), (1 << 2) + (1 << 28) + (1 << 29));
  assert.equal(features.word(1), high);
  assert(features.accepts(low, high, 0));
  for (const [more, above] of [[1 << 1, 0], [0, 1 << 9]] as const) {
    assert(!features.accepts(low | more, high | above, 0));
    assert(features.acceptsRestored(low | more, high | above, 0));
  }
  assert(!features.acceptsRestored(1 << 3, high, 0), "what never was offered");
  assert(!features.acceptsRestored(low, high, 1));
  assert(!features.acceptsRestored(low, 0, 0), "VERSION_1 is needed all the same");
});
