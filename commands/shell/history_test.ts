import assert from "node:assert/strict";
import { History } from "./history.ts";

async function inFolder(body: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(`${folder}/state/hvsh/history`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("history comes back in the next shell, for its owner only", () =>
  inFolder(async (path) => {
    const first = await History.open(path);
    for (const line of ["create", "create", " secret", "", "run é"]) await first.add(line);
    assert.deepEqual(first.lines, ["create", "run é"]);
    assert.deepEqual((await History.open(path)).lines, ["create", "run é"]);
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("a statement of several lines comes back as one, however its lines end", () =>
  inFolder(async (path) => {
    const lines = ["if true\nthen list\nfi", "create \\\n| run", "echo a\\\\", "list"];
    const history = await History.open(path);
    for (const line of lines) await history.add(line);
    const read = (await History.open(path)).lines;
    assert.deepEqual(read.map((line) => line.trimEnd()), lines);
  }));

Deno.test("several shells append to one history without losing lines", () =>
  inFolder(async (path) => {
    const shells = await Promise.all([1, 2, 3].map(() => History.open(path)));
    await Promise.all(shells.map(async (shell, s) => {
      for (let i = 0; i < 20; i++) await shell.add(`${s}:${i}`);
    }));
    assert.equal((await History.open(path)).lines.length, 60);
  }));

Deno.test("history is bounded, in memory and on disk", () =>
  inFolder(async (path) => {
    await (await History.open(path)).add("first");
    const lines = Array.from({ length: 2500 }, (_, i) => `line ${i}`);
    await Deno.writeTextFile(path, lines.join("\n") + "\n");
    assert.deepEqual((await History.open(path)).lines, lines.slice(-1000));
    assert.equal((await Deno.readTextFile(path)).split("\n").length, 1001);
    await Deno.writeTextFile(path, "x".repeat(3 << 20) + "\nlast\n");
    const history = await History.open(path);
    assert.deepEqual(history.lines, ["last"]);
    await history.add("y".repeat(5000));
    assert.equal((await History.open(path)).lines.at(-1), "last");
  }));

Deno.test("a history that cannot be written is told once", () =>
  inFolder(async (path) => {
    await Deno.mkdir(path, { recursive: true });
    const history = await History.open(path);
    await assert.rejects(history.add("a"));
    await history.add("b");
    assert.deepEqual(history.lines, ["a", "b"]);
  }));
