import "../tests/c_library.ts";
import { equal, ok } from "node:assert/strict";
import { Errno } from "./errno.ts";
import { closeFile } from "./files.ts";
import { createMemfd, Mapping } from "./mapping.ts";
import { punchPages, releasePages } from "./memory_advice.ts";

const PAGE = 4096;
const SIZE = 64 * PAGE;

/** Pages that the file behind a descriptor has. */
const pagesOf = (fd: number) => Deno.statSync(`/proc/self/fd/${fd}`).blocks! * 512 / PAGE;

Deno.test("pages of a shared mapping leave the file behind it", () => {
  const fd = createMemfd("hvsh-test", SIZE);
  using mapping = new Mapping(fd, SIZE);
  const bytes = new Uint8Array(mapping.buffer);
  bytes.fill(7);
  equal(pagesOf(fd), 64);
  equal(releasePages(Number(mapping.address) + 10 * PAGE, 20 * PAGE), 0);
  equal(pagesOf(fd), 44);
  ok(bytes.subarray(10 * PAGE, 30 * PAGE).every((byte) => byte === 0));
  equal(bytes[10 * PAGE - 1], 7);
  equal(bytes[30 * PAGE], 7);
  equal(releasePages(Number(mapping.address) + 1, PAGE), -Errno.EINVAL);
  closeFile(fd);
});

Deno.test("a private mapping loses its own copies, and its file nothing", () => {
  const fd = createMemfd("hvsh-test", SIZE);
  {
    using shared = new Mapping(fd, SIZE);
    new Uint8Array(shared.buffer).fill(7);
  }
  using mapping = new Mapping(fd, SIZE, { private: true });
  const bytes = new Uint8Array(mapping.buffer);
  bytes.fill(8);
  equal(punchPages(Number(mapping.address), PAGE), -Errno.EACCES);
  equal(bytes[0], 8);
  equal(releasePages(Number(mapping.address), PAGE), 0);
  equal(bytes[0], 7);
  equal(bytes[PAGE], 8);
  equal(pagesOf(fd), 64);
  closeFile(fd);
});
