import assert from "node:assert/strict";
import { addDirty, type ChangingMemory, dirtyBytes, MemoryRounds } from "./memory_rounds.ts";
import { StreamReader } from "./stream_reader.ts";
import { StreamWriter } from "./stream_writer.ts";

const PAGE = 4096;
const RECORD = 4 * PAGE;
const CHUNK = 65536;
const REGIONS = [
  { name: "ram0", base: 0, size: 3 * CHUNK, ram: true, readonly: false },
  { name: "rom0", base: 0x10_0000, size: CHUNK + PAGE, ram: false, readonly: true },
];

/** Memory as plain bytes by their regions' addresses, and a stream of it. */
class Rig {
  readonly bytes = REGIONS.map(({ size }) => new Uint8Array(size));
  readonly #pieces: Uint8Array[] = [];
  readonly #writer = new StreamWriter({
    write: (pieces) => void this.#pieces.push(...pieces.map((piece) => piece.slice())),
  });
  readonly rounds = new MemoryRounds(this.#writer, REGIONS);
  readonly memory: ChangingMemory = {
    copies: (region) => {
      const bytes = this.bytes[REGIONS.findIndex(({ name }) => name === region.name)]!;
      return Array.from({ length: Math.ceil(bytes.length / CHUNK) }, (_, i) => ({
        offset: i * CHUNK,
        bytes: bytes.slice(i * CHUNK, (i + 1) * CHUNK),
      }));
    },
    read: (address, length) => {
      const index = REGIONS.findIndex(({ base, size }) => address >= base && address < base + size);
      const from = address - REGIONS[index]!.base;
      return this.bytes[index]!.slice(from, from + length);
    },
  };

  /** Pages as bitmaps. */
  dirty(...pages: [region: number, page: number][]): Uint8Array[] {
    const bitmaps = REGIONS.map(({ size }) => new Uint8Array(Math.ceil(size / PAGE / 64) * 8));
    for (const [region, page] of pages) bitmaps[region]![page >> 3]! |= 1 << (page & 7);
    return bitmaps;
  }

  /** The names of the records so far, and what memory they make. */
  async end(): Promise<{ names: string[]; memory: Uint8Array[] }> {
    await this.#writer.end();
    const names: string[] = [];
    const memory = REGIONS.map(({ size }) => new Uint8Array(size));
    const reader = new StreamReader({
      memory: (name, size) => {
        names.push(name);
        const [, region, offset] = name.split("/") as [string, string, string];
        const bytes = memory[REGIONS.findIndex((other) => other.name === region)]!;
        return bytes.subarray(Number(offset), Number(offset) + size);
      },
      record: () => {},
    });
    for (const piece of this.#pieces) reader.push(piece);
    reader.close();
    return { names, memory };
  }
}

Deno.test("the first round has what is not zero, on one grid", async () => {
  const rig = new Rig();
  rig.bytes[0]!.set([1], RECORD + 5);
  rig.bytes[0]!.set([2], 2 * CHUNK - 1);
  rig.bytes[1]!.set([3], CHUNK + PAGE - 1);
  await rig.rounds.sendAll(rig.memory);
  const { names, memory } = await rig.end();
  assert.deepEqual(names, [
    "mem/ram0/0x0000004000",
    "mem/ram0/0x000001c000",
    "mem/rom0/0x0000010000",
  ]);
  assert.deepEqual(memory, rig.bytes);
});

Deno.test("later rounds have what has changed, and say that something is zero now", async () => {
  const rig = new Rig();
  rig.bytes[0]!.fill(7, 0, CHUNK);
  await rig.rounds.sendAll(rig.memory);
  rig.bytes[0]!.fill(0, 0, RECORD);
  rig.bytes[0]!.set([9], 2 * CHUNK);
  rig.bytes[1]!.set([8], CHUNK);
  // Page 0 is zero now; 20 was and is; 32 is the third chunk's first, 16 the second region's last.
  await rig.rounds.sendDirty(rig.memory, rig.dirty([0, 0], [0, 20], [0, 32], [1, 16]));
  const { names, memory } = await rig.end();
  assert.deepEqual(names.slice(4), [
    "mem/ram0/0x0000000000",
    "mem/ram0/0x0000020000",
    "mem/rom0/0x0000010000",
  ]);
  assert.deepEqual(memory, rig.bytes);
});

Deno.test("whatever pages change: the last round's memory is the machine's", async () => {
  const rig = new Rig();
  let seed = 1;
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed % below;
  };
  await rig.rounds.sendAll(rig.memory);
  for (let round = 0; round < 20; round++) {
    const pages = Array.from({ length: 1 + random(30) }, (): [number, number] => {
      const region = random(2);
      return [region, random(REGIONS[region]!.size / PAGE)];
    });
    for (const [region, page] of pages) {
      rig.bytes[region]!.fill(random(3), page * PAGE, (page + 1) * PAGE);
    }
    await rig.rounds.sendDirty(rig.memory, rig.dirty(...pages));
  }
  assert.deepEqual((await rig.end()).memory, rig.bytes);
});

Deno.test("changed pages are counted by records, and added up", () => {
  const rig = new Rig();
  const pages = rig.dirty([0, 0], [0, 3], [0, 4]);
  assert.equal(dirtyBytes(pages), 2 * RECORD);
  addDirty(pages, rig.dirty([0, 1], [0, 40], [1, 2]));
  assert.equal(dirtyBytes(pages), 4 * RECORD);
});
