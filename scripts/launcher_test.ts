import { deepEqual, equal, match } from "node:assert/strict";
import { shLine, TestFolder } from "../tests/sh_line.ts";

const LAUNCHER = decodeURIComponent(new URL("./hvsh", import.meta.url).pathname);

/** A stand-in for deno: says with what it was called. `eval` prints the path in its first argument. */
function fakeDeno(folder: TestFolder, name: string, native: string): string {
  const path = folder.write(
    name,
    `#!/bin/sh
printf '%s\\n' "$1 $2" >> "${folder.path}/calls"
case $* in *eval*) [ -n '${native}' ] && echo '${native}' ;; *) echo "ran $0" ;; esac
`,
  );
  Deno.chmodSync(path, 0o755);
  return path;
}

function calls(folder: TestFolder): string[] {
  try {
    return Deno.readTextFileSync(`${folder.path}/calls`).trimEnd().split("\n");
  } catch {
    return [];
  }
}

Deno.test("the launcher works from any folder and through a chain of symbolic links", async () => {
  await using folder = new TestFolder();
  Deno.mkdirSync(`${folder.path}/a b`);
  Deno.symlinkSync(LAUNCHER, `${folder.path}/absolute`);
  Deno.symlinkSync("../absolute", `${folder.path}/a b/relative`);
  Deno.symlinkSync("a b/relative", `${folder.path}/hvsh`);
  Deno.symlinkSync(LAUNCHER.replace(/\/[^/]*$/, ""), `${folder.path}/scripts`);
  const lines = ["./hvsh version", "PATH=$PWD:$PATH; cd /; hvsh version", "sh hvsh version"];
  for (const line of [...lines, "cd 'a b'; ./relative version", "scripts/hvsh version"]) {
    const { status, stdout, stderr } = await shLine(line, { cwd: folder.path });
    deepEqual([status, stderr], [0, ""], line);
    match(stdout, /^hvsh \d/);
  }
});

Deno.test("words reach hvsh as they were typed", async () => {
  const { stdout } = await shLine(
    `hvsh create | hvsh cmdline 'a  b' '' '*' "it's" | jq .boot.cmdline`,
  );
  equal(stdout, `"a  b  * it's"\n`);
});

Deno.test("the Deno on PATH is asked once, then its native binary starts at once", async () => {
  await using folder = new TestFolder();
  const native = fakeDeno(folder, "native", "");
  fakeDeno(folder, "deno", native);
  const env = { HVSH_DENO: "", XDG_CACHE_HOME: `${folder.path}/cache` };
  const line = `PATH='${folder.path}':/usr/bin:/bin; '${LAUNCHER}' version; '${LAUNCHER}' version`;
  const { stdout } = await shLine(line, { env });
  equal(stdout, `ran ${native}\nran ${native}\n`);
  equal(calls(folder).filter((call) => call.startsWith("eval")).length, 1);
  equal(Deno.readTextFileSync(`${folder.path}/cache/hvsh/deno`), `${native}\n`);
});

Deno.test("with no Deno, or one that is too old, npx gives one", async () => {
  await using folder = new TestFolder();
  const native = fakeDeno(folder, "native", "");
  fakeDeno(folder, "deno", ""); // too old: it prints nothing
  fakeDeno(folder, "npx", native);
  const env = { HVSH_DENO: "", XDG_CACHE_HOME: `${folder.path}/cache` };
  const path = `PATH='${folder.path}':/usr/bin:/bin`;
  const { stdout } = await shLine(`${path}; '${LAUNCHER}' version`, { env });
  equal(stdout, `ran ${native}\n`);
  match(calls(folder)[1]!, /^-y deno@2\.\d+\.\d+$/);
});

Deno.test("a kept path whose binary is gone is found anew", async () => {
  await using folder = new TestFolder();
  const native = fakeDeno(folder, "native", "");
  fakeDeno(folder, "deno", native);
  Deno.mkdirSync(`${folder.path}/cache/hvsh`, { recursive: true });
  folder.write("cache/hvsh/deno", "/gone/deno\n");
  const env = { HVSH_DENO: "", XDG_CACHE_HOME: `${folder.path}/cache` };
  const line = `PATH='${folder.path}':/usr/bin:/bin; '${LAUNCHER}' version`;
  equal((await shLine(line, { env })).stdout, `ran ${native}\n`);
});

Deno.test("a machine with neither Deno nor npx is told what to install", async () => {
  await using folder = new TestFolder();
  for (const tool of ["sh", "readlink"]) {
    const found = (await shLine(`command -v ${tool}`)).stdout.trim();
    Deno.symlinkSync(found, `${folder.path}/${tool}`);
  }
  const { status, stdout, stderr } = await shLine(
    `PATH='${folder.path}' HOME= '${LAUNCHER}' create`,
    { env: { HVSH_DENO: "", XDG_CACHE_HOME: "" } },
  );
  deepEqual([status, stdout], [125, ""]);
  match(stderr, /^hvsh: there is no Deno .*\n {2}try: install Node with npm, or Deno/);
});

Deno.test("finding Deno leaves stdin to the stage", async () => {
  await using folder = new TestFolder();
  const env = { HVSH_DENO: "", XDG_CACHE_HOME: `${folder.path}/cache` };
  Deno.symlinkSync(Deno.execPath(), `${folder.path}/deno`);
  const line = `PATH='${folder.path}':/usr/bin:/bin; '${LAUNCHER}' cmdline a`;
  const { stdout } = await shLine(line, { env, stdin: '{"vm":1}\n' });
  equal(stdout, '{"vm":1,"boot":{"cmdline":"a"}}\n');
});

Deno.test("a cache that cannot be written does not stop it", async () => {
  await using folder = new TestFolder();
  const native = fakeDeno(folder, "native", "");
  fakeDeno(folder, "deno", native);
  folder.write("file");
  const env = { HVSH_DENO: "", XDG_CACHE_HOME: `${folder.path}/file` };
  const line = `PATH='${folder.path}':/usr/bin:/bin; '${LAUNCHER}' version`;
  const { status, stdout, stderr } = await shLine(line, { env });
  deepEqual([status, stdout, stderr], [0, `ran ${native}\n`, ""]);
});
