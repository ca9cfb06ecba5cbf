import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { makePipe, type PipeEnds } from "../../ffi/pipe.ts";
import { MOST_LINE, PipeLines, sayLine } from "./pipe_lines.ts";

const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const never = new AbortController().signal;

function pipe(): PipeEnds & { lines: PipeLines; write(text: string): void } {
  const ends = makePipe();
  libc.fcntl(ends.reader.fd, F_SETFL, O_NONBLOCK);
  return {
    ...ends,
    lines: new PipeLines(ends.reader.fd),
    write(text) {
      const bytes = new TextEncoder().encode(text);
      libc.write(ends.writer.fd, bytes, BigInt(bytes.length));
    },
  };
}

Deno.test("lines come one after the other, however they were written", async () => {
  using ends = pipe();
  const { lines } = ends;
  assert.ok(sayLine(ends.writer.fd, { made: true }));
  ends.write('{"restored":true}\n{"runn');
  assert.deepEqual(await lines.next(never), { made: true });
  assert.deepEqual(await lines.next(never), { restored: true });
  assert.equal(await lines.next(AbortSignal.timeout(5)), undefined);
  assert.equal(lines.ended, false);
  ends.write('ing":true}\n');
  assert.deepEqual(await lines.next(never), { running: true });
  ends.writer[Symbol.dispose]();
  assert.deepEqual([await lines.next(never), lines.ended], [undefined, true]);
});

Deno.test("what is no line of ours is the end, and is shown", async () => {
  for (const text of ["Welcome!\n", "Password: ", "[1]\n", "{]\n", `{${" ".repeat(MOST_LINE)}`]) {
    using ends = pipe();
    ends.write(text);
    assert.deepEqual([await ends.lines.next(never), ends.lines.ended], [undefined, true], text);
    assert.equal(ends.lines.said, text.replace("\n", "").slice(0, MOST_LINE));
  }
});

Deno.test("a pipe that nobody reads takes no line", () => {
  using ends = pipe();
  ends.reader[Symbol.dispose]();
  assert.equal(sayLine(ends.writer.fd, { go: true }), false);
});
