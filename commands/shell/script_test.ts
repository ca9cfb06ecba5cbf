import assert from "node:assert/strict";
import { HvshHome } from "../../tests/run_hvsh.ts";

Deno.test("a file is run as a script, with its words, its name and hvsh's stdin", async () => {
  await using home = new HvshHome();
  home.write(
    "s.hvsh",
    'echo "$0 $# $1 $2"\nif read line; then echo "read $line"; fi\ncat\n' +
      "create -m 64M |\n  kernel nosuch || echo $?\nexit 7\necho no\n",
  );
  const { status, stdout, stderr } = await home.run(["./s.hvsh", "a b", "-c"], "one\ntwo\n");
  assert.equal(stdout, "./s.hvsh 2 a b -c\nread one\ntwo\n125\n");
  assert.match(stderr, /^hvsh: \.\/s\.hvsh: line 5: kernel: .*nosuch/);
  assert.equal(status, 7);
  const { stdout: named } = await home.run(["s.hvsh"]);
  assert.match(named, /^s\.hvsh 0/);
});

Deno.test("#!/usr/bin/env hvsh makes a file a program", async () => {
  await using home = new HvshHome();
  Deno.chmodSync(
    home.write("tool", '#!/usr/bin/env hvsh\nfor i in "$@"; do echo "<$i>"; done\n'),
    0o755,
  );
  const { status, stdout, stderr } = await home.line("./tool 'a b' c | tr a-z A-Z");
  assert.deepEqual([status, stdout, stderr], [0, "<A B>\n<C>\n", ""]);
});

Deno.test("-c runs a line; verbs in it read hvsh's stdin", async () => {
  await using home = new HvshHome();
  const line = 'cmdline "$1" | jq -c .boot; echo $0';
  const { status, stdout, stderr } = await home.run(["-c", line, "name", "quiet"], '{"vm":1}\n');
  assert.deepEqual([status, stdout, stderr], [0, '{"cmdline":"quiet"}\nname\n', ""]);
  assert.equal((await home.run(["-c"])).status, 2);
  assert.equal((await home.run(["-c", ""])).status, 0);
});

Deno.test("a script stops at its first failure and says where, with a caret and what to do", async () => {
  await using home = new HvshHome();
  home.write("s", "echo a\n\ncreate --memroy 1G | jq .\necho no\n");
  assert.deepEqual(await home.run(["s"]), {
    status: 2,
    stdout: "a\n",
    stderr: "hvsh: s: line 3: create: There is no flag --memroy\n  create --memroy 1G | jq .\n" +
      "         ^\n  try: did you mean --memory?\n",
  });
  home.write("s", "echo a\nif true; then\n  echo b\n  echo c | | d\nfi\n");
  assert.deepEqual(await home.run(["s"]), {
    status: 2,
    stdout: "a\n",
    stderr: "hvsh: s: line 4: Expected a command after `|`, found `|`\n    echo c | | d\n" +
      "             ^\n  try: `help` lists the verbs\n",
  });
  home.write("s", "f() {\n  cat nosuch 2> /dev/null\n}\necho a\nf\necho no\n");
  assert.deepEqual(await home.run(["s"]), { status: 1, stdout: "a\n", stderr: "" });
  home.write("s", "while true; do\necho a\n");
  const { status, stderr } = await home.run(["s"]);
  assert.equal(status, 2);
  assert.match(stderr, /^hvsh: s: line 1: Cannot find the `done` of this `while`\n {2}while true/);
});

Deno.test("what is neither a verb nor a script is said, with the next step", async () => {
  await using home = new HvshHome();
  const none = await home.run(["./nosuch"]);
  assert.equal(none.status, 125);
  assert.match(none.stderr, /nosuch: open: no such file or directory \(ENOENT\)/);
  assert.match(
    (await home.run(["crate"])).stderr,
    /There is no verb "crate"\n.*did you mean create/,
  );
  home.write("image", new Uint8Array([0x7f, 0x45, 0, 0]));
  const image = await home.run(["image"]);
  assert.deepEqual([image.status, image.stderr.includes("try: hvsh run image")], [2, true]);
  assert.equal((await home.run(["/"])).status, 125);
});

Deno.test("SIGINT ends a script and what it runs, with 130", async () => {
  await using home = new HvshHome();
  await using process = home.start(
    ["-c", "trap 'echo left' EXIT; echo up; while :; do :; done; echo no"],
  );
  await process.until("up\n");
  process.kill("SIGINT");
  const { status, stdout } = await process.result();
  assert.deepEqual([status, stdout], [130, "up\nleft\n"]);
});

Deno.test("a script's jobs go on behind its end, and its own process stays for its own", async () => {
  await using home = new HvshHome();
  await using script = home.start([
    "-c",
    "mkfifo p; (read x < p; echo late) & echo early; exit 3",
  ]);
  await script.until("early\n");
  await Deno.writeTextFile(`${home.folder}/p`, "\n");
  const { status, stdout } = await script.result();
  assert.deepEqual([status, stdout], [3, "early\nlate\n"]);
});

Deno.test("a shell's folder is the way there, from the one that it was started in by that", async () => {
  await using home = new HvshHome();
  const folder = Deno.realPathSync(home.folder);
  const line = "mkdir -p r/d; ln -s r/d l; cd l; hvsh -c " +
    "'pwd; pwd -P; (pwd); sh -c pwd; cd ..; pwd; cd -P l; pwd; rmdir ../d; cd ../..; pwd'";
  const { status, stdout, stderr } = await home.line(line);
  const ways = ["/l", "/r/d", "/l", "/l", "", "/r/d", ""];
  assert.deepEqual([status, stdout, stderr], [
    0,
    ways.map((way) => `${folder}${way}\n`).join(""),
    "",
  ]);
});

Deno.test("$PPID is the process that has started the shell, in subshells too", async () => {
  await using home = new HvshHome();
  const { stdout } = await home.line("echo $$; hvsh -c 'echo $PPID; (echo $PPID); env'; true");
  const [own, outer, inner] = stdout.split("\n");
  assert.deepEqual([outer, inner], [own, own]);
  assert.ok(!stdout.includes("PPID="));
});
