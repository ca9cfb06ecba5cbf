import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { HostError } from "./errors.ts";
import { memoryFile } from "./memory_file.ts";
import { makePipe, OwnedDescriptor } from "./pipe.ts";
import { type ChildChange, sendSignal, spawn, type SpawnOptions, watchChild } from "./spawn.ts";

const SH = { path: "/bin/sh", environment: {}, cwd: "/", descriptors: new Map([[0, 0], [2, 2]]) };

/** Runs sh to its end. */
function ended(script: string, options: Partial<SpawnOptions> = {}): Promise<ChildChange> {
  const pid = spawn({ ...SH, argv: ["sh", "-c", script], ...options });
  return new Promise((resolve) => watchChild(pid, resolve));
}

Deno.test("a program's end is told: its exit status, or the signal", async () => {
  assert.deepEqual(await ended("exit 7"), { kind: "exited", status: 7 });
  assert.deepEqual(await ended("kill -9 $$"), { kind: "killed", signal: 9 });
});

Deno.test("a program that a signal stops is told of, and goes on", async () => {
  const changes: ChildChange[] = [];
  const pid = spawn({ ...SH, argv: ["sh", "-c", "kill -STOP $$; exit 3"] });
  await new Promise<void>((resolve) =>
    watchChild(pid, (change) => {
      changes.push(change);
      if (change.kind === "stopped") sendSignal(pid, 18);
      else resolve();
    })
  );
  assert.deepEqual(changes, [{ kind: "stopped", signal: 19 }, { kind: "exited", status: 3 }]);
});

Deno.test("descriptors, folder, words and environment are those that were given", async () => {
  using file = new OwnedDescriptor(memoryFile("output", new Uint8Array()));
  const script = 'echo "$PWD $A $1"; echo three >&3; [ -e /proc/$$/fd/2 ] || echo closed';
  await ended(script, {
    argv: ["sh", "-c", script, "x", "é ü"],
    cwd: "/tmp",
    environment: { A: "b", PATH: "/usr/bin:/bin" },
    descriptors: new Map([[1, file.fd], [3, file.fd]]),
  });
  const written = Deno.readTextFileSync(`/proc/self/fd/${file.fd}`);
  assert.equal(written, "/tmp b é ü\nthree\nclosed\n");
});

Deno.test("descriptors change places", async () => {
  using one = makePipe();
  using two = makePipe();
  const [a, b] = [one.writer.fd, two.writer.fd];
  const descriptors = new Map([[a, b], [b, a]]);
  await ended(`echo to b > /proc/self/fd/${a}; echo to a > /proc/self/fd/${b}`, { descriptors });
  one.writer[Symbol.dispose]();
  two.writer[Symbol.dispose]();
  const read = (fd: number) => Deno.readTextFileSync(`/proc/self/fd/${fd}`);
  assert.deepEqual([read(one.reader.fd), read(two.reader.fd)], ["to a\n", "to b\n"]);
});

Deno.test("SIGPIPE, which Deno ignores, ends a program", async () => {
  using pipe = makePipe();
  pipe.reader[Symbol.dispose]();
  const descriptors = new Map([[1, pipe.writer.fd]]);
  assert.deepEqual(
    await ended("", { path: "/usr/bin/yes", argv: ["yes"], descriptors }),
    { kind: "killed", signal: 13 },
  );
});

Deno.test("a program that is not there is an error", () => {
  assert.throws(() => spawn({ ...SH, path: "/nosuch", argv: ["x"] }), HostError);
  assert.throws(() => spawn({ ...SH, argv: ["a\0b"] }), TypeError);
});
