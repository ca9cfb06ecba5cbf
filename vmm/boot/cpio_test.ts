import assert from "node:assert/strict";
import { cpio } from "./cpio.ts";

/** Reads an archive back by the format's own rules, to check what the writer claims. */
function parse(archive: Uint8Array) {
  const text = (from: number, to: number) => new TextDecoder().decode(archive.subarray(from, to));
  const entries = [];
  for (let at = 0; at < archive.length;) {
    assert.equal(text(at, at + 6), "070701", `magic at byte ${at}`);
    const field = (n: number) => parseInt(text(at + 6 + 8 * n, at + 14 + 8 * n), 16);
    const [mode, size, nameSize] = [field(1), field(6), field(11)];
    const data = (at + 110 + nameSize + 3) & ~3;
    const name = text(at + 110, at + 110 + nameSize - 1);
    entries.push({ name, mode, rdev: [field(9), field(10)], data: text(data, data + size) });
    at = (data + size + 3) & ~3;
  }
  return entries;
}

Deno.test("an archive lists its entries in order and ends with the trailer", () => {
  const data = new TextEncoder().encode("hello");
  const entries = parse(cpio([
    { path: "bin", type: "directory" },
    { path: "bin/sh", type: "symlink", target: "busybox" },
    { path: "init", type: "file", data, mode: 0o755 },
    { path: "dev/console", type: "device", major: 5, minor: 1 },
  ]));
  assert.deepEqual(entries, [
    { name: "bin", mode: 0o040755, rdev: [0, 0], data: "" },
    { name: "bin/sh", mode: 0o120777, rdev: [0, 0], data: "busybox" },
    { name: "init", mode: 0o100755, rdev: [0, 0], data: "hello" },
    { name: "dev/console", mode: 0o020600, rdev: [5, 1], data: "" },
    { name: "TRAILER!!!", mode: 0, rdev: [0, 0], data: "" },
  ]);
});

Deno.test("names and data of every length are padded to four bytes", () => {
  for (let length = 0; length < 9; length++) {
    const data = new Uint8Array(length).fill(0x78);
    const archive = cpio([{ path: "n".repeat(length + 1), type: "file", data }]);
    assert.equal(archive.length % 4, 0);
    assert.equal(parse(archive)[0]?.data, "x".repeat(length));
  }
});

Deno.test("the same entries give the same bytes", () => {
  const entries = [{ path: "a", type: "file" as const, data: new Uint8Array([1, 2, 3]) }];
  assert.deepEqual(cpio(entries), cpio(entries));
});

Deno.test("an absolute or empty path is refused", () => {
  assert.throws(() => cpio([{ path: "/init", type: "directory" }]), RangeError);
  assert.throws(() => cpio([{ path: "", type: "directory" }]), RangeError);
});
