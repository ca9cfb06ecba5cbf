import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { nothingOpenedSince, openFiles } from "../tests/leaks.ts";
import { HostError } from "./errors.ts";
import { readAll } from "./disk_file.ts";
import { closeFile, openFile, OpenFlag, writeAt } from "./files.ts";
import { createMemfd, giveUpMemfd, isSealed, Mapping, sealMemfd, viewMemory } from "./mapping.ts";

const PAGE = 4096;

Deno.test("two mappings of a memfd show the same memory", () => {
  const fd = createMemfd("hvsh-test", 2 * PAGE);
  using first = new Mapping(fd, 2 * PAGE);
  using second = new Mapping(fd, PAGE, { offset: PAGE });
  new Uint8Array(first.buffer)[PAGE + 3] = 42;
  assert.equal(new Uint8Array(second.buffer)[3], 42);
  assert.equal(new Uint8Array(viewMemory(first.address, 2 * PAGE))[PAGE + 3], 42);
  closeFile(fd); // the mapping holds the memory
  assert.equal(new Uint8Array(second.buffer)[3], 42);
});

Deno.test("what is written to a private mapping stays in it", () => {
  const fd = createMemfd("hvsh-test", PAGE);
  using shared = new Mapping(fd, PAGE);
  using own = new Mapping(fd, PAGE, { private: true });
  new Uint8Array(own.buffer)[0] = 1;
  assert.equal(new Uint8Array(shared.buffer)[0], 0);
  closeFile(fd);
});

Deno.test("a file that is open for reading can be mapped privately, and not shared for writing", () => {
  const fd = openFile(import.meta.filename!, OpenFlag.RDONLY);
  try {
    using mapping = new Mapping(fd, PAGE, { private: true });
    new Uint8Array(mapping.buffer)[0] = 0;
    assert.throws(() => new Mapping(fd, PAGE), /mmap: permission denied \(EACCES\)/);
  } finally {
    closeFile(fd);
  }
});

Deno.test("unmapping detaches the views and gives the addresses back", () => {
  const fd = createMemfd("hvsh-test-unmap", PAGE);
  const mapping = new Mapping(fd, PAGE);
  const { buffer } = mapping;
  mapping[Symbol.dispose]();
  assert.equal(buffer.detached, true);
  assert.equal(buffer.byteLength, 0);
  closeFile(fd);
  assert.doesNotMatch(Deno.readTextFileSync("/proc/self/maps"), /hvsh-test-unmap/);
});

Deno.test("what cannot be mapped is an error with mmap's errno, and no descriptor is left", () => {
  const before = openFiles();
  assert.throws(() => new Mapping(-1, PAGE), /mmap: bad file descriptor \(EBADF\)/);
  assert.throws(
    () => createMemfd("hvsh-test", -PAGE),
    (error) => error instanceof HostError && error.syscall === "ftruncate",
  );
  nothingOpenedSince(before);
});

Deno.test("a memfd that is sealed is written by mappings of before only, and everybody sees that", () => {
  const before = openFiles();
  {
    const fd = createMemfd("test", 2 * PAGE);
    using mapping = new Mapping(fd, 2 * PAGE);
    const other = openFile(`/proc/self/fd/${fd}`, OpenFlag.RDWR);
    assert.equal(isSealed(other), false);
    sealMemfd(fd);
    assert.equal(isSealed(other), true);
    new Uint8Array(mapping.buffer)[1] = 7;
    const byte = new Uint8Array(1);
    assert.equal(readAll(other, byte, 1), 1);
    assert.equal(byte[0], 7);
    assert.throws(() => writeAt(other, Uint8Array.of(1), 0), /EPERM/);
    assert.throws(() => new Mapping(other, 2 * PAGE), /EPERM/);
    using own = new Mapping(other, 2 * PAGE, { private: true });
    new Uint8Array(own.buffer)[1] = 8;
    assert.equal(new Uint8Array(mapping.buffer)[1], 7);
    giveUpMemfd(fd);
    assert.equal(isSealed(fd), true);
    assert.equal(Deno.statSync(`/proc/self/fd/${fd}`).size, 0);
    assert.match(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`), /^flags:\t02\d{6}$/m); // O_CLOEXEC
    assert.equal(new Uint8Array(mapping.buffer)[1], 7);
    for (const open of [fd, other]) closeFile(open);
  }
  nothingOpenedSince(before);
});

Deno.test("files of other kinds are not sealed", () => {
  const fd = openFile("/dev/null", OpenFlag.RDWR);
  assert.equal(isSealed(fd), false);
  closeFile(fd);
});
