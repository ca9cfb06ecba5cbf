import assert from "node:assert/strict";
import { Failure } from "./failure.ts";
import { loadOrder } from "./initrd.ts";

const DEPENDENCIES = [
  "kernel/a/kvm-amd.ko: kernel/a/kvm.ko kernel/b/irqbypass.ko",
  "kernel/a/kvm.ko: kernel/b/irqbypass.ko",
  "kernel/b/irqbypass.ko:",
  "kernel/c/other.ko: kernel/a/kvm.ko",
  "",
].join("\n");

Deno.test("a module is loaded after those that it needs, each once, and no other", () => {
  assert.deepEqual(loadOrder(DEPENDENCIES, ["kvm-amd", "irqbypass"]), [
    "kernel/b/irqbypass.ko",
    "kernel/a/kvm.ko",
    "kernel/a/kvm-amd.ko",
  ]);
});

Deno.test("a kernel without a needed module is named as the reason", () => {
  assert.throws(
    () => loadOrder(DEPENDENCIES, ["vhost"]),
    (error) => error instanceof Failure && error.message.includes("vhost.ko"),
  );
});
