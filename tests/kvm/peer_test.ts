import assert from "node:assert/strict";
import { closeFile } from "../../ffi/files.ts";
import { libc } from "../../ffi/libc.ts";
import { connectUnixSocket } from "../../ffi/unix_socket.ts";
import { SPIN } from "../guest_code.ts";
import { kvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

const SETRESUID = 117;
const SAME = -1;
const NOBODY = 65534;
const POLLIN = 1;
const REQUEST = `{"jsonrpc":"2.0","id":1,"method":"control.status"}\n`;
const SYMBOLS = {
  setresuid: { name: "syscall", parameters: ["i64", "i32", "i32", "i32"], result: "i64" }, // long syscall(SYS_setresuid, uid_t, uid_t, uid_t)
} as const satisfies Deno.ForeignLibraryInterface;

/** Does something as another user: the system call itself, unlike libc's function, is for one thread. */
function as<T>(uid: number, work: () => T): T {
  const library = Deno.dlopen("libc.so.6", SYMBOLS);
  const { setresuid } = library.symbols;
  assert.equal(setresuid(BigInt(SETRESUID), SAME, uid, SAME), 0n);
  try {
    return work();
  } finally {
    setresuid(BigInt(SETRESUID), SAME, 0, SAME);
    library.close();
  }
}

/** What a connection answers to a request; empty if it is closed. */
function ask(fd: number): string {
  const request = new TextEncoder().encode(REQUEST);
  libc.send(fd, request, BigInt(request.length), 0x4000); // MSG_NOSIGNAL; it may be closed by now
  const waiting = new Int32Array([fd, POLLIN]);
  assert.equal(libc.poll(waiting, 1n, 60_000), 1);
  const answer = new Uint8Array(4096);
  const count = Number(libc.recv(fd, answer, BigInt(answer.length), 0));
  return new TextDecoder().decode(answer.subarray(0, Math.max(0, count)));
}

Deno.test({
  name: "another user's connection is closed unanswered, whatever the folders' modes let through",
  // Only root can be somebody else.
  ignore: kvm.missing !== undefined || Deno.uid() !== 0,
  fn: async () => {
    await using home = new HvshHome();
    await detached(home, "web", SPIN);
    const folder = `${home.runtime}/hvsh`;
    const control = `${folder}/web/control`;
    for (const path of [home.folder, home.runtime, folder, `${folder}/web`]) {
      Deno.chmodSync(path, 0o755);
    }
    Deno.chmodSync(control, 0o777);
    for (const [uid, answered] of [[NOBODY, false], [0, true]] as const) {
      const fd = as(uid, () => connectUnixSocket(control));
      try {
        assert.equal(ask(fd).includes('"live":"web"'), answered);
      } finally {
        closeFile(fd);
      }
    }
    for (const path of [home.runtime, folder, `${folder}/web`]) Deno.chmodSync(path, 0o700);
    records(await home.run(["kill", "web"]));
    await home.run(["wait", "web"]);
  },
});
