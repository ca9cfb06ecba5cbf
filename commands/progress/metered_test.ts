import { deepEqual, equal, ok } from "node:assert/strict";
import type { SavedRegion } from "../../vmm/state/regions.ts";
import { Meter } from "./meter.ts";
import { metered, meteredAsync, meteredSink, meteredSource, passedPieces } from "./metered.ts";
import { fileSize, readPosition } from "./read_position.ts";

/** One that nobody looks at. */
function unseen(): Meter {
  return new Meter({ note: () => {} }, { label: "web", unit: "bytes" });
}

Deno.test("sinks, sources and chunks are counted", async () => {
  using meter = unseen();
  const taken: number[] = [];
  const sink = meteredSink({ write: (pieces) => void taken.push(pieces.length) }, meter);
  await sink.write([new Uint8Array(3), new Uint8Array(4)]);
  deepEqual([taken, meter.done], [[2], 7]);
  equal(await meteredSource({ read: () => 5 }, meter).read(new Uint8Array(9)), 5);
  equal(await meteredSource({ read: () => Promise.resolve(6) }, meter).read(new Uint8Array(9)), 6);
  equal(meter.done, 18);
  equal([...metered([new Uint8Array(1), new Uint8Array(1)], meter)].length, 2);
  const chunks = ReadableStream.from([new Uint8Array(2)]);
  equal((await Array.fromAsync(meteredAsync(chunks, meter))).length, 1);
  equal(meter.done, 22);
});

Deno.test("of memory it is known how much has been passed, whatever is left out", () => {
  using meter = unseen();
  const region = (name: string, base: number): SavedRegion => ({
    ...{ name, base, size: 100, ram: true, readonly: false },
  });
  const regions = [region("ram0", 0), region("ram1", 100)];
  const bytes = new Uint8Array(10);
  const pieces = passedPieces(() => [{ offset: 20, bytes }], regions, meter, true);
  const seen: (number | undefined)[] = [];
  for (const region of regions) {
    for (const _ of pieces(region)) seen.push(meter.fraction);
    seen.push(meter.fraction);
  }
  deepEqual(seen, [undefined, 0.5, 0.5, 1]);
  equal(meter.done, 20);
});

Deno.test("how much of a file has been read is asked of the kernel", async () => {
  const path = await Deno.realPath(await Deno.makeTempFile());
  try {
    await Deno.writeFile(path, new Uint8Array(1000));
    equal(fileSize(path), 1000);
    equal(fileSize("/"), undefined);
    equal(fileSize(`${path}.none`), undefined);
    equal(readPosition(Deno.pid, path), undefined);
    using file = await Deno.open(path);
    await file.read(new Uint8Array(300));
    equal(readPosition(Deno.pid, path), 300);
    ok(readPosition(0) === undefined);
  } finally {
    await Deno.remove(path);
  }
});
