import assert from "node:assert/strict";
import { parseCall } from "./call.ts";
import { Failure } from "./failure.ts";

Deno.test("options end where the command begins, and paths are made absolute", () => {
  const args = ["--out", "a", "--in=/b", "--timeout", "1.5", "ls", "--out", "c"];
  assert.deepEqual(parseCall(args, "/srv"), {
    command: ["ls", "--out", "c"],
    out: ["/srv/a"],
    in: ["/b"],
    timeoutSeconds: 1.5,
  });
});

Deno.test("after -- a command may begin with a dash", () => {
  const call = parseCall(["--", "-x"], "/");
  assert(call !== "help");
  assert.deepEqual(call.command, ["-x"]);
});

Deno.test("wrong usage is a failure with status 2 that names the word", () => {
  const cases: [string[], RegExp][] = [
    [[], /No COMMAND/],
    [["--"], /No COMMAND/],
    [["--nosuch", "true"], /--nosuch/],
    [["--out"], /--out needs/],
    [["--in=", "true"], /--in needs/],
    [["--timeout", "-1", "true"], /"-1"/],
    [["--timeout", "1e9", "true"], /"1e9"/],
  ];
  for (const [args, message] of cases) {
    assert.throws(
      () => parseCall(args, "/"),
      (error) => error instanceof Failure && error.exitStatus === 2 && message.test(error.message),
    );
  }
});
