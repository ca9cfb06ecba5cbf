import assert from "node:assert/strict";
import fc from "fast-check";
import { fuse_dirent } from "../../vmm/fuse/messages.ts";
import { listing } from "./listing.ts";

Deno.test("a listing that is read in parts of any size has each entry once", () => {
  const names = fc.array(fc.string({ minLength: 1, maxLength: 80, unit: "grapheme" }));
  fc.assert(fc.property(names, fc.integer({ min: 512, max: 4096 }), (names, size) => {
    const entries = names.map((name, i) =>
      ({ name, kind: i % 2 === 0 ? "file" : "folder" }) as const
    );
    const read: { name: string; kind: string }[] = [];
    for (let from = 0;;) {
      const bytes = listing(entries, from, size);
      assert.ok(bytes.length <= size);
      if (bytes.length === 0) break;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      for (let at = 0; at < bytes.length;) {
        const { namelen, type, off } = new fuse_dirent(view, at);
        const start = at + fuse_dirent.size;
        const name = new TextDecoder().decode(bytes.subarray(start, start + namelen));
        read.push({ name, kind: type === 4 ? "folder" : "file" });
        from = Number(off);
        at += Math.ceil((fuse_dirent.size + namelen) / 8) * 8;
      }
    }
    assert.deepEqual(read, entries);
  }));
});
