import assert from "node:assert/strict";
import { InitProgram, Label, Op, Result } from "./init_program.ts";

const Sys = {
  READ: 0,
  WRITE: 1,
  CLOSE: 3,
  PIPE: 22,
  DUP2: 33,
  FORK: 57,
  EXECVE: 59,
  WAIT4: 61,
  EXIT: 231,
};

/** Runs a program as any other of this host, which is what a guest's kernel does with it too. */
async function run(program: InitProgram): Promise<{ code: number; stdout: string }> {
  const path = await Deno.makeTempFile({ prefix: "hvsh-init-" });
  try {
    await Deno.writeFile(path, program.build());
    await Deno.chmod(path, 0o700);
    const { code, stdout } = await new Deno.Command(path).output();
    return { code, stdout: new TextDecoder().decode(stdout) };
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("rows are worked off one after another, with text and numbers as arguments", async () => {
  const program = new InitProgram();
  program.call(Sys.WRITE, [1, program.text("one "), 4]);
  program.call(Sys.WRITE, [1, program.bytes(new TextEncoder().encode("two")), 3]);
  program.call(Sys.EXIT, [7]);
  assert.deepEqual(await run(program), { code: 7, stdout: "one two" });
});

Deno.test("by a result's sign another row is next", async () => {
  for (const [a, b, said] of [[3, 5, "less"], [5, 5, "same"], [5n, 3n, "more"]] as const) {
    const program = new InitProgram();
    const [less, same, more, end] = [new Label(), new Label(), new Label(), new Label()];
    program.call(Op.SUBTRACT, [a, b], { negative: less, zero: same, positive: more });
    for (const [label, text] of [[less, "less"], [same, "same"], [more, "more"]] as const) {
      program.place(label);
      program.call(Sys.WRITE, [1, program.text(text), 4]);
      program.goTo(end);
    }
    program.place(end);
    program.call(Sys.EXIT, [0]);
    assert.equal((await run(program)).stdout, said);
  }
});

Deno.test("results become arguments of other rows: fork, execve, and the status of what ended", async () => {
  const program = new InitProgram();
  const status = program.zeros(4);
  const [child, wait] = [new Result(), new Label()];
  program.call(Sys.FORK, [], { store: child, positive: wait });
  program.call(Sys.EXECVE, [
    program.text("/bin/sh"),
    program.texts(["sh", "-c", 'echo "$GREETING, $1"; exit 3', "sh", "you there"]),
    program.texts(["GREETING=hello"]),
  ]);
  program.call(Sys.EXIT, [99]);
  program.place(wait);
  program.call(Sys.WAIT4, [child, status, 0, 0]);
  const [word, code] = [new Result(), new Result()];
  program.call(Op.LOAD, [status], { store: word });
  program.call(Op.SUBTRACT, [word, (3 << 8) - 42], { store: code });
  program.call(Sys.EXIT, [code]);
  assert.deepEqual(await run(program), { code: 42, stdout: "hello, you there\n" });
});

Deno.test("it loops over a pipe of its own, through memory of its own", async () => {
  const program = new InitProgram();
  const [buffer, ends] = [program.zeros(8), program.zeros(8)];
  const writing = { ...ends, offset: ends.offset + 4 };
  const [reader, writer, closed, count] = Array.from({ length: 4 }, () => new Result());
  const [again, end] = [new Label(), new Label()];
  program.call(Sys.PIPE, [ends]);
  program.call(Op.LOAD, [ends], { store: reader! });
  program.call(Op.LOAD, [writing], { store: writer! });
  program.call(Op.LOAD, [writing], { store: closed! });
  program.call(Sys.WRITE, [writer!, program.text("through a pipe"), 14]);
  program.call(Sys.CLOSE, [closed!]);
  program.call(Sys.DUP2, [reader!, 50]);
  program.place(again);
  program.call(Sys.READ, [50, buffer, 5], { store: count!, zero: end });
  program.call(Sys.WRITE, [1, buffer, count!]);
  program.goTo(again);
  program.place(end);
  program.call(Sys.EXIT, [0]);
  assert.deepEqual(await run(program), { code: 0, stdout: "through a pipe" });
});

Deno.test("what could not be passed on is refused", () => {
  const program = new InitProgram();
  assert.throws(() => program.text("a\0b"), RangeError);
  const result = new Result();
  program.call(Sys.EXIT, [result]);
  assert.throws(() => program.call(Sys.EXIT, [result]), RangeError);
  const lonely = new InitProgram();
  lonely.call(Sys.FORK, [], { store: new Result() });
  assert.throws(() => lonely.build(), RangeError);
  const lost = new InitProgram();
  lost.goTo(new Label());
  assert.throws(() => lost.build(), RangeError);
});
