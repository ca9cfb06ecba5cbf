import assert from "node:assert/strict";
import { ShellOnTerminal } from "../../tests/pty.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const LAUNCHER = new URL("../../scripts/hvsh", import.meta.url).pathname;

/** Feeds lines to a shell. */
async function feed(lines: string, cwd = "/"): Promise<[string, string, number]> {
  const child = new Deno.Command(LAUNCHER, {
    cwd,
    env: { HVSH_DENO: Deno.execPath() },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(lines));
  await writer.close();
  const { stdout, stderr, code } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return [decode(stdout), decode(stderr), code];
}

Deno.test("lines fed on stdin run one after the other", () =>
  inFolder(async (folder) => {
    await Deno.writeFile(`${folder}/x.bin`, new Uint8Array([0xf4]));
    const [stdout, stderr, status] = await feed(
      "create -m 64M | flat x.bin@0x1000 | grep -o '\"boot.*base[^}]*' > boot.txt  # to a file\n" +
        "cat boot.txt\nv=32M\ncreate -m $v |\n  sed 's/.*\"size\":\\([0-9]*\\).*/\\1/'\n" +
        'test -f none || echo "no file"\n',
      folder,
    );
    assert.equal(stderr, "");
    assert.equal(
      stdout,
      `"boot":{"flat":{"images":[{"path":"${folder}/x.bin","base":4096\n33554432\nno file\n`,
    );
    assert.equal(status, 0);
  }));

Deno.test("a fed shell stops at the first error with its status and says where", async () => {
  assert.deepEqual(await feed("echo a\n\nsh -c 'exit 9'\necho b\n"), ["a\n", "", 9]);
  assert.deepEqual(await feed("echo a\ncreate |\n | run\necho b\n"), [
    "a\n",
    "hvsh: line 3: Expected a command after `|`, found `|`\n   | run\n   ^\n" +
    "  try: `help` lists the verbs\n",
    2,
  ]);
  const [, stderr, status] = await feed("true\ncreate --memroy 1G | jq .\n");
  assert.equal(
    stderr,
    "hvsh: line 2: create: There is no flag --memroy\n  create --memroy 1G | jq .\n" +
      "         ^\n  try: did you mean --memory?\n",
  );
  assert.equal(status, 2);
  assert.equal((await feed("kernel /etc/hostname"))[2], 125);
  assert.equal((await feed("echo 'a"))[2], 2);
  assert.equal((await feed("exit 7; echo no"))[2], 7);
});

Deno.test("fed programs do not eat the lines behind their own", async () => {
  assert.deepEqual(await feed("cat\necho b\n"), ["b\n", "", 0]);
});

Deno.test("floods end with their reader, inside the shell and behind it", async () => {
  assert.deepEqual(await feed("yes '{\"vm\":1}' | cmdline quiet | head -n 1\n"), [
    '{"vm":1,"boot":{"cmdline":"quiet"}}\n',
    "",
    0,
  ]);
  const sh = new Deno.Command("sh", {
    args: ["-c", `echo "yes '{\\"vm\\":1}' | cmdline quiet" | "${LAUNCHER}" | head -n 1`],
    env: { HVSH_DENO: Deno.execPath() },
    stderr: "piped",
  });
  const { stdout, stderr } = await sh.output();
  assert.equal(new TextDecoder().decode(stdout), '{"vm":1,"boot":{"cmdline":"quiet"}}\n');
  assert.equal(new TextDecoder().decode(stderr), "");
});

Deno.test("on a terminal a line is completed, run and remembered", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.type("cre\t-m 64M | grep -o .si\x01\x05ze.:6[0-9]\r");
    assert.match(await shell.until('"size":67'), /create -m/);
    await shell.until("hvsh> ");
    shell.type("\x1b[A\r");
    await shell.until('"size":67');
    await shell.until("hvsh> ");
    shell.type("history\r");
    await shell.until("    2  history");
    await shell.until("hvsh> ");
    shell.type("\x12crea");
    await shell.until("crea: create -m 64M");
    shell.type("\x05 | tr 6 7\r");
    await shell.until('"size":77');
    await shell.until("hvsh> ");
    shell.type("\x04");
    assert.equal(await shell.status(), 0);
    assert.equal(
      await Deno.readTextFile(`${folder}/hvsh/history`),
      "create -m 64M | grep -o .size.:6[0-9]\nhistory\ncreate -m 64M | grep -o .size.:6[0-9] | tr 6 7\n",
    );
  }));

Deno.test("^C drops a line that is typed, ends one that runs, and leaves the shell", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.type("exit 3\x03");
    await shell.until("^C");
    await shell.until("hvsh> ");
    shell.type("echo started; sleep 1000\r");
    await shell.until("\nstarted");
    shell.type("\x03");
    await shell.until("hvsh> ");
    shell.type("echo flooding; yes '{\"vm\":1}' | cmdline quiet | cat > /dev/null\r");
    await shell.until("\nflooding");
    shell.type("\x03");
    await shell.until("hvsh> ");
    shell.type("echo status=$?\r");
    await shell.until("\nstatus=130");
    shell.type("exit 4\r");
    assert.equal(await shell.status(), 4);
  }));

Deno.test("lines pasted at once run one after the other, and programs get their own keys", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.type("echo on''e\recho tw''o\recho \x22a\rb\x22\r");
    await shell.until("\none");
    await shell.until("\ntwo");
    await shell.until("\r\na\r\nb\r\n");
    await shell.until("hvsh> ");
    shell.type("sh -c 'echo re''ady; cat'\r");
    await shell.until("ready");
    shell.type("keys\r");
    await shell.until("keys\r\nkeys\r\n");
    shell.type("\x04");
    await shell.until("hvsh> ");
    shell.type("create | | run\r");
    await shell.until("           ^\r\n");
    await shell.until("hvsh> ");
    shell.type("exit\r");
    assert.equal(await shell.status(), 2);
  }));

Deno.test("a terminal that hangs up ends the shell", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.kill("SIGHUP");
    assert.equal(await shell.status(), 129);
  }));

const HELLO = String.raw`printf '\272\370\003\260H\356\260\012\356\364'`;

Deno.test({
  name: "a guest in the shell reads and writes through its stages",
  ignore: !hasKvm(),
  fn: async () => {
    assert.deepEqual(await feed(`${HELLO} | run --flat - | tr H J\necho after\n`), [
      "J\nafter\n",
      "",
      0,
    ]);
    assert.deepEqual((await feed("run --flat -\n"))[2], 2);
  },
});

Deno.test({
  name: "a guest on the shell's terminal gets the keys, and the shell the ones after it",
  ignore: !hasKvm(),
  fn: () =>
    inFolder(async (folder) => {
      // Echoes a key: in al,dx waits for LSR.DR, then mov dx,0x3f8; in al,dx; inc al; out dx,al; hlt.
      const echo = [0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0xba, 0xf8, 0x03, 0xec];
      const once = [0xfe, 0xc0, 0xee, 0xf4];
      await Deno.writeFile(`${folder}/echo.bin`, new Uint8Array([...echo, ...once]));
      await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
      await shell.until("hvsh> ");
      shell.type("create | flat echo.bin | run\r");
      await shell.until("console is yours");
      shell.type("A");
      await shell.until("B");
      await shell.until("hvsh> ");
      shell.type("echo status=$?\r");
      await shell.until("\nstatus=0");
      await shell.until("hvsh> ");
      shell.type("exit\r");
      assert.equal(await shell.status(), 0);
    }),
});

function hasKvm(): boolean {
  try {
    Deno.openSync("/dev/kvm", { read: true, write: true }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("what is not whole goes on in the next lines, and the rc file runs first", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/hvsh`);
    await Deno.writeTextFile(`${folder}/hvsh/rc`, "hi() { echo hi $1; }\nfalse\nwho=you\n");
    await using shell = new ShellOnTerminal(folder, {
      XDG_STATE_HOME: folder,
      XDG_CONFIG_HOME: folder,
    });
    await shell.until("hvsh> ");
    shell.type("for i in 1 2\r");
    shell.type("do hi $who$i\r");
    shell.type("done; cat << E\rx $((1+1))\rE\r");
    await shell.until("hi you1\r\nhi you2\r\nx 2\r\n");
    await shell.until("hvsh> ");
    shell.type("exit\r");
    assert.equal(await shell.status(), 0);
  }));

Deno.test("read takes a line that is typed, and the shell the ones behind it", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.type("read a b; echo on''e $b-$a\r");
    shell.type("x y\r");
    await shell.until("one y-x\r\n");
    await shell.until("hvsh> ");
    shell.type("exit 5\r");
    assert.equal(await shell.status(), 5);
  }));

Deno.test("jobs outlive ^C, and leaving them is asked about once", () =>
  inFolder(async (folder) => {
    await using shell = new ShellOnTerminal(folder, { XDG_STATE_HOME: folder });
    await shell.until("hvsh> ");
    shell.type("{ sleep 1000; } & sleep 1001 &\r");
    await shell.until("[2] ");
    await shell.until("hvsh> ");
    shell.type("echo started; sleep 1002\r");
    await shell.until("\nstarted");
    shell.type("\x03");
    await shell.until("hvsh> ");
    shell.type("jobs\r");
    await shell.until("[1] Running    { sleep 1000; }\r\n[2] Running    sleep 1001\r\n");
    await shell.until("hvsh> ");
    shell.type("kill %2; wait %2; echo status=$?\r");
    await shell.until("\nstatus=143");
    await shell.until("hvsh> ");
    shell.type("exit 6\r");
    await shell.until("These end with the shell:\r\n  [1] { sleep 1000; }");
    await shell.until("hvsh> ");
    shell.type("exit 6\r");
    assert.equal(await shell.status(), 6);
  }));
