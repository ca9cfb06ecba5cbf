/**
 * Every virtio device against a driver that spoils rings and requests (see `tests/ring_mutator.ts`):
 * 10,000 rings a device, half of them over each transport.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HOSTILE_SUBJECTS } from "../../tests/hostile_subjects.ts";
import { openFiles } from "../../tests/leaks.ts";
import { hostileRings } from "../../tests/ring_mutator.ts";
import { TestFolder } from "../../tests/sh_line.ts";
import { TRANSPORTS } from "../../tests/virtio_machine.ts";

const RINGS = 5_000;

for (const { name, make } of HOSTILE_SUBJECTS) {
  for (const transport of TRANSPORTS) {
    Deno.test(`${name} over ${transport}: ${RINGS} spoiled rings harm nobody else`, async () => {
      await using folder = new TestFolder();
      const before = openFiles();
      const { refused, answered } = await hostileRings(make(folder.path), {
        transport,
        rings: RINGS,
      });
      assert(refused > RINGS / 20, `only ${refused} rings were refused`);
      assert(answered > RINGS / 20, `only ${answered} requests were answered`);
      assert.deepEqual(openFiles(), before);
    });
  }
}
