import assert from "node:assert/strict";
import "../tests/c_library.ts";
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { check, cString, errno, libc } from "./libc.ts";

Deno.test("errno is that of the call before, in this thread", () => {
  assert.equal(libc.close(-1), -1);
  assert.equal(errno(), 9);
  assert.equal(libc.open(cString("/no/such/file"), 0, 0), -1);
  assert.equal(errno(), Errno.ENOENT);
});

Deno.test("check gives what the call gave, or throws what errno says", () => {
  assert.equal(check(3, "open"), 3);
  assert.equal(check(0n, "lseek"), 0n);
  assert.throws(
    () => check(libc.open(cString("/no/such/file"), 0, 0), "open", { path: "/no/such/file" }),
    (error) => error instanceof HostError && error.code === "ENOENT" && error.syscall === "open",
  );
});

Deno.test("a C string ends with a NUL and has none inside", () => {
  assert.equal(cString("é").toHex(), "c3a900");
  assert.throws(() => cString("a\0b"), /"a\\0b" holds a NUL/);
});
