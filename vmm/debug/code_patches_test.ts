import assert from "node:assert/strict";
import { GuestMemory } from "../guest_memory.ts";
import { CodePatches, INT3, OUT_TRAP } from "./code_patches.ts";

function memory(): GuestMemory {
  const buffer = Uint8Array.from({ length: 64 }, (_, i) => i).buffer;
  return new GuestMemory([{ base: 0x1000, buffer, ram: true }]);
}

Deno.test("a trap is in the code until it is lifted, and what was there comes back", () => {
  for (const trap of [INT3, OUT_TRAP]) {
    const guest = memory();
    const before = guest.read(0x1000, 64);
    const patches = new CodePatches(guest, trap);
    const place = trap.map((_, i) => 0x1004 + i);
    patches.insert([place, place, [0x1020, 0x1021].slice(0, trap.length)]);
    assert.deepEqual([...guest.read(0x1004, trap.length)], [...trap]);
    patches.lift();
    assert.deepEqual(guest.read(0x1000, 64), before);
    patches.lift();
    assert.deepEqual(guest.read(0x1000, 64), before);
  }
});

Deno.test("what the guest has written over a trap stays", () => {
  const guest = memory();
  const patches = new CodePatches(guest, OUT_TRAP);
  patches.insert([[0x1004, 0x1005]]);
  guest.write(0x1004, Uint8Array.of(0x90));
  patches.lift();
  assert.deepEqual([...guest.read(0x1004, 2)], [0x90, 5]);
});
