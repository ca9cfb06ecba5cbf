import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { readSome } from "../../ffi/descriptor_io.ts";
import { makePipe } from "../../ffi/pipe.ts";
import type { VerbContext } from "../verb.ts";
import { CommandStreams, planStreams } from "./command_streams.ts";

const APART = { terminal: false, stderr: true };

/** A stage whose streams are no descriptors: one of the interactive shell's. */
function stage(input: readonly string[], output: string[]): VerbContext {
  const bytes = async function* () {
    for (const text of input) yield await Promise.resolve(new TextEncoder().encode(text));
  };
  const context: Partial<VerbContext> = {
    bytes: bytes(),
    write: (bytes) => Promise.resolve(void output.push(new TextDecoder().decode(bytes))),
  };
  return context as VerbContext;
}

/** The port of a name. */
function port({ entry }: CommandStreams, name: string): Record<string, unknown> {
  return (entry.ports as Record<string, unknown>[]).find((port) => port.name === name)!;
}

Deno.test("stages of the shell give and take a command's bytes through pipes", async () => {
  const output: string[] = [];
  {
    await using streams = new CommandStreams(
      APART,
      true,
      "command",
      stage(["one ", "two"], output),
    );
    using stdin = Deno.openSync(port(streams, "stdin").path as string);
    using stdout = Deno.openSync(port(streams, "stdout").path as string, {
      read: false,
      write: true,
    });
    const piece = new Uint8Array(100);
    for (let count = await stdin.read(piece); count !== null; count = await stdin.read(piece)) {
      await stdout.write(piece.subarray(0, count));
    }
  }
  assert.equal(output.join(""), "one two");
});

Deno.test("a stage's own stderr is the command's", async () => {
  using errors = makePipe();
  const context = { ...stage([], []), stderr: errors.writer.fd };
  {
    await using streams = new CommandStreams(APART, true, "command", context);
    const path = port(streams, "stderr").path as string;
    using stderr = Deno.openSync(path, { read: false, write: true });
    await stderr.write(new TextEncoder().encode("what is wrong"));
  }
  const buffer = new Uint8Array(100);
  const count = await readSome(errors.reader.fd, buffer);
  assert.equal(new TextDecoder().decode(buffer.subarray(0, count)), "what is wrong");
});

Deno.test("a command that reads nothing, and one whose VM never came to be, hold nobody up", async () => {
  const endless = Array.from({ length: 100 }, () => "x".repeat(65536));
  await using _streams = new CommandStreams(APART, true, "command", stage(endless, []));
});

Deno.test("a process's own streams are the command's, but for a stdin that a document had", async () => {
  const context = { stdin: 0, stdout: 1 } as VerbContext;
  await using streams = new CommandStreams(APART, true, "command", context);
  assert.deepEqual(streams.entry.ports, [
    { name: "stdin", mode: "read", fd: 0 },
    { name: "stdout", mode: "write", fd: 1 },
    { name: "stderr", mode: "write", fd: 2 },
    { name: "ready", mode: "write", path: "/dev/null" },
  ]);
  await using without = new CommandStreams(APART, false, "command", context);
  assert.deepEqual(port(without, "stdin"), { name: "stdin", mode: "none" });
});

Deno.test("a command has a terminal where a person types and sees, and nothing stands between", () => {
  const setRaw = () => {};
  const person = { terminal: { setRaw } } as unknown as VerbContext;
  assert.equal(planStreams(true, person).terminal, true);
  const piped = { ...person, bytes: stage([], []).bytes } as VerbContext;
  assert.equal(planStreams(true, piped).terminal, false);
  assert.equal(
    planStreams(false, piped).terminal,
    true,
    "the document is read, and who typed it is there",
  );
  assert.deepEqual(planStreams(true, { terminal: {} } as VerbContext), APART);
});
