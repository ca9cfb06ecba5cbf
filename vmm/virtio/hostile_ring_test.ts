/**
 * Every virtio device behind every transport against a driver that spoils rings and requests (see
 * `tests/ring_mutator.ts`): 10,000 rings from a fixed seed, and some from a new one each time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HOSTILE_SUBJECTS } from "../../tests/hostile_subjects.ts";
import { nothingOpenedSince, openFiles } from "../../tests/leaks.ts";
import { hostileRings } from "../../tests/ring_mutator.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { TRANSPORTS } from "../../tests/virtio_machine.ts";

const RINGS = 10_000;
const NEW_RINGS = 1_000;

for (const { name, make } of HOSTILE_SUBJECTS) {
  for (const transport of TRANSPORTS) {
    const lie = async (rings: number, seed?: number) => {
      await using folder = new TestFolder();
      const before = openFiles();
      const more = seed === undefined ? {} : { seed };
      const summary = await hostileRings(make(folder.path), { transport, rings, ...more });
      nothingOpenedSince(before);
      return summary;
    };

    Deno.test(`${name} over ${transport}: ${RINGS} spoiled rings harm nobody else`, async () => {
      const { refused, answered } = await lie(RINGS);
      assert(refused > RINGS / 20, `only ${refused} rings were refused`);
      assert(answered > RINGS / 20, `only ${answered} requests were answered`);
    });

    Deno.test(`${name} over ${transport}: nor do rings that were never tried before`, async () => {
      const seed = crypto.getRandomValues(new Int32Array(1))[0]!; // fast-check tells it on failure
      const { answered } = await lie(NEW_RINGS, seed);
      assert(answered > 0);
    });
  }
}
