import assert from "node:assert/strict";
import { commandInit } from "./command_init.ts";
import type { GuestCommand } from "./guest_command.ts";

const COMMAND: GuestCommand = {
  argv: ["uname", "-r"],
  env: ["PATH=/bin"],
  path: "/bin",
  cwd: "/tmp/a/b",
  hostname: "hvsh",
  root: { tag: "hostfs", path: "/", readonly: true },
  shares: [{ tag: "share0", path: "/tmp/a/b", readonly: false }],
  ownFolders: ["/tmp"],
  modules: ["/hvsh/modules/virtio.ko"],
  terminal: false,
  stderr: true,
};

Deno.test("what can go wrong is told by its number, with what the kernel wants for it", () => {
  const { steps } = commandInit(COMMAND);
  const root = steps.find(({ what }) => what === "mount the host's files");
  assert.ok(root?.options.includes("VIRTIO_FS"));
  const whats = steps.map(({ what }) => what);
  for (const what of ["mount /dev", "make /tmp the guest's own", "mount /tmp/a/b"]) {
    assert.ok(whats.includes(what), what);
  }
  assert.ok(whats.includes("enter the folder /tmp/a/b"));
  assert.ok(steps.length < 256, "a step's number is a byte");
});

Deno.test("a program is a static ELF with the command's words in it", () => {
  for (const terminal of [false, true]) {
    const { program } = commandInit({ ...COMMAND, terminal, stderr: !terminal });
    assert.deepEqual([...program.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
    const text = new TextDecoder("latin1").decode(program);
    for (const word of ["uname\0", "-r\0", "/bin/uname\0", "/tmp/a\0", "/tmp/a/b\0", "share0\0"]) {
      assert.ok(text.includes(word), word);
    }
    assert.equal(text.includes("/dev/hvc0\0"), terminal);
    assert.equal(text.includes("/dev/vport0p2\0"), !terminal);
  }
});

Deno.test("a word that no program can be given is refused", () => {
  assert.throws(() => commandInit({ ...COMMAND, argv: ["a\0b"] }), RangeError);
});
