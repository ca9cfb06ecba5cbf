import "../../tests/c_library.ts";
import assert from "node:assert/strict";
import { openFiles } from "../../tests/leaks.ts";
import { InnerShell } from "../../tests/inner_shell.ts";
import { shLines } from "../../tests/sh_lines.ts";

/** Runs a line in sh. */
async function inSh(line: string, cwd: string): Promise<{ stdout: string; status: number }> {
  const { stdout, code } = await new Deno.Command("sh", {
    args: ["-e", "-c", line],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  return { stdout: new TextDecoder().decode(stdout), status: code };
}

/** What a shell may have left open. */
function opened(): string[] {
  return openFiles().filter((target) => /^(\/|pipe:|memfd:)/.test(target));
}

for (const [about, lines] of Object.entries(shLines)) {
  Deno.test(`${about}: lines print what they print in sh, and end with the same status`, async () => {
    await new InnerShell("/").run("echo x | cat; sleep 0 & wait"); // what Deno opens once
    const before = opened().length;
    for (const line of lines) {
      const [theirs, ours] = [await Deno.makeTempDir(), await Deno.makeTempDir()];
      try {
        const shell = new InnerShell(ours);
        const expected = await inSh(line, theirs);
        const stdout = (await shell.run(line)).replaceAll(ours, theirs);
        const { status } = shell;
        assert.deepEqual({ line, stdout, status }, { line, ...expected }, shell.notes);
      } finally {
        await Deno.remove(theirs, { recursive: true });
        await Deno.remove(ours, { recursive: true });
      }
    }
    assert.equal(opened().length, before, opened().join("\n"));
  });
}

Deno.test("loops of built-ins are quick enough for scripts", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const shell = new InnerShell(folder);
    const line = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $i";
    assert.equal(await shell.run(line), "20000\n");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
