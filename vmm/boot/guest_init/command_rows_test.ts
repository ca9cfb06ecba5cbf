import assert from "node:assert/strict";
import { executeRows } from "./command_rows.ts";
import { InitRows } from "./init_rows.ts";

/** Runs the rows of a command's process as a process of this host. */
async function execute(
  argv: readonly string[],
  { path, cwd }: { path: string; cwd: string },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const rows = new InitRows();
  executeRows(rows, {
    ...{ argv, env: ["WHO=you"], path, cwd, hostname: "", shares: [], ownFolders: [], modules: [] },
    ...{ root: { tag: "", path: "/", readonly: true }, terminal: false, stderr: true },
  });
  const file = `${cwd}/init`;
  await Deno.writeFile(file, rows.program.build(), { mode: 0o700 });
  const { code, stdout, stderr } = await new Deno.Command(file, { cwd }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("a command is found, and refused, as a shell does it", async () => {
  const cwd = await Deno.makeTempDir({ prefix: "hvsh-rows-" });
  try {
    await Deno.mkdir(`${cwd}/bin`);
    const script = async (name: string, text: string, mode = 0o755) => {
      await Deno.writeTextFile(`${cwd}/${name}`, text);
      await Deno.chmod(`${cwd}/${name}`, mode);
    };
    await script("bin/greet", '#!/bin/sh\necho "$WHO: $*"; exit 5\n');
    await script("here", 'echo "no interpreter: $0 $1"\n');
    await script("data", "text", 0o644);
    const path = `${cwd}/nothing:${cwd}/data:${cwd}/bin:/usr/bin:/bin`;
    const said = (argv: readonly string[]) => execute(argv, { path, cwd });

    assert.deepEqual(await said(["greet", "a b", "c"]), {
      ...{ code: 5, stdout: "you: a b c\n", stderr: "" },
    });
    assert.deepEqual(await said(["./here", "x"]), {
      ...{ code: 0, stdout: "no interpreter: ./here x\n", stderr: "" },
    });
    assert.deepEqual(await said(["no-such-command"]), {
      ...{ code: 127, stdout: "", stderr: "hvsh run: no-such-command: not found\n" },
    });
    assert.equal((await said([""])).code, 127);
    assert.equal((await said(["./data/x"])).code, 127);
    for (const refused of ["./data", "./bin"]) {
      assert.deepEqual(await said([refused]), {
        ...{ code: 126, stdout: "", stderr: `hvsh run: ${refused}: it cannot be executed\n` },
      });
    }
    assert.equal((await execute(["here"], { path: ":/usr/bin", cwd })).code, 0);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});
