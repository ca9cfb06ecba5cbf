/** A shell owns the VMs that it runs: in the foreground, as jobs, in pipelines. */
import assert from "node:assert/strict";
import { ShellOnTerminal } from "../pty.ts";
import { exitWith, HELLO, SPIN } from "../guest_code.ts";
import { HvshHome } from "../run_hvsh.ts";

Deno.test("a job of run is a VM of the shell's own process, which the other verbs reach", async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  const line = "create -n web -m 1M | flat spin.bin | run & " +
    "until list web > seen; do sleep 0.05; done; jq -r .live,.pid seen; echo $$; " +
    "pause web | jq -r .state; jobs; hvsh kill web | jq -r .state; wait %1 || echo status $?";
  const { status, stdout, stderr } = await home.run(["-c", `set +e; ${line}`]);
  const [live, pid, own, ...rest] = stdout.trimEnd().split("\n");
  assert.equal(live, "web", stderr);
  assert.equal(pid, own);
  assert.deepEqual(rest, [
    "paused",
    "[1] Running    create -n web -m 1M | flat spin.bin | run",
    "ended",
    "status 137",
  ]);
  assert.equal(status, 0);
});

Deno.test("a script's VMs outlast its lines, and its process stays for them", async () => {
  await using home = new HvshHome();
  home.write("hello.bin", HELLO);
  home.write("five.bin", exitWith(5));
  home.write(
    "s",
    "create -m 1M | flat hello.bin | run &\n" +
      "if create -m 1M | flat five.bin | run; then echo no; else echo five $?; fi\nwait\n" +
      'x=$(create -m 1M | flat hello.bin | run)\necho "<$x>"\n' +
      "for i in 1 2; do create -m 1M | flat hello.bin | run & done\nexit 3\n",
  );
  const { status, stdout, stderr } = await home.run(["s"]);
  assert.deepEqual(stdout.split("\n").sort(), ["", "<H>", "H", "H", "H", "five 5"].sort(), stderr);
  assert.equal(status, 3);
});

Deno.test("the VM in use is what live verbs of the shell are about", async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  const { status, stdout, stderr } = await home.run([
    "-c",
    "run -d -n web -m 1M --flat spin.bin > /dev/null; use web; pause | jq -r .live; " +
    "regs | jq -r .rip; mem read 0x7c00 2 | od -An -tx1; step | jq -r .live; kill | jq -r .live; wait > /dev/null || echo $?",
  ]);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.match(stdout, /^web\n.*\n eb fe\nweb\nweb\n137\n$/);
});

Deno.test("a VM of a job outlives ^C, and ends with the shell when the person insists", async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  await using shell = new ShellOnTerminal(home.folder, {
    XDG_STATE_HOME: home.folder,
    XDG_RUNTIME_DIR: home.runtime,
  });
  await shell.until("hvsh> ");
  shell.type("create -n web -m 1M | flat spin.bin | run &\r");
  await shell.until("[1] ");
  await shell.until("hvsh> ");
  shell.type("until list web > seen 2> /dev/null; do sleep 0.1; done; echo up''on; sleep 100\r");
  await shell.until("\nupon");
  shell.type("\x03");
  await shell.until("hvsh> ");
  shell.type("list -o json | jq -r '.live + \" \" + .state'\r");
  await shell.until("\nweb running");
  await shell.until("hvsh> ");
  shell.type("exit\r");
  await shell.until("These end with the shell");
  await shell.until("hvsh> ");
  shell.type("exit 3\r");
  assert.equal(await shell.status(), 3);
});
