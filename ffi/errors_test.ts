import assert from "node:assert/strict";
import { Errno, errnoName } from "./errno.ts";
import {
  DocumentError,
  GuestError,
  HostError,
  HvshError,
  ImageError,
  UsageError,
  VmError,
} from "./errors.ts";

Deno.test("wrong usage ends with 2, everything else that hvsh fails at with 125", () => {
  assert.equal(new UsageError("x").exitStatus, 2);
  for (const Failure of [DocumentError, GuestError, ImageError, VmError]) {
    assert.equal(new Failure("x").exitStatus, 125);
  }
  assert.equal(new HostError("open", Errno.ENOENT).exitStatus, 125);
});

Deno.test("an error has its class's name, its cause and its hint", () => {
  const cause = new Error("because");
  const error = new ImageError("Bad image", { cause, hint: "take another" });
  assert.ok(error instanceof HvshError);
  assert.equal(error.name, "ImageError");
  assert.equal(error.cause, cause);
  assert.equal(error.hint, "take another");
  assert.equal(new VmError("x").hint, undefined);
});

Deno.test("a host error says path, call, the errno's text and its name", () => {
  const error = new HostError("open", Errno.EACCES, { path: "/dev/kvm" });
  assert.equal(error.message, "/dev/kvm: open: permission denied (EACCES)");
  assert.deepEqual([error.syscall, error.errno, error.code, error.path], [
    "open",
    13,
    "EACCES",
    "/dev/kvm",
  ]);
  assert.equal(new HostError("KVM_RUN", 14).message, "KVM_RUN: bad address (EFAULT)");
});

Deno.test("an errno that nobody knows still has a name", () => {
  assert.deepEqual(errnoName(4095), { code: "E4095", text: "unknown error" });
});

Deno.test("the numbers that hvsh decides on are those of the table of names", () => {
  for (const [name, number] of Object.entries(Errno)) assert.equal(errnoName(number).code, name);
});
