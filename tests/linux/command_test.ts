import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ShellOnTerminal } from "../pty.ts";
import { guestPath } from "../../scripts/setup/guests.ts";
import { onNativeKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Debian's kernel, whose drivers are modules beside it. */
const KERNEL = [
  ...["--modules", guestPath("modules"), guestPath("vmlinuz")],
  ...["--cmdline", "cryptomgr.notests"], // which take a slow host seconds
];

/** What a guest runs to tell of itself; each line of it is a name and a value. */
const SCRIPT = `
echo "kernel $(uname -r)"
echo "folder $(pwd)"
echo "argument $1"
echo "user $(id -u) $HOME $SECRET"
echo "root $(touch /new 2>&1 || true)"
echo "readonly $(touch file 2>&1 || true)"
echo "host $(cat file)"
echo one > shared/written
echo "own $(ls -A /tmp | head -n 1) $(echo x > /tmp/x && cat /tmp/x)"
echo "devices $(test -c /dev/null && test -c /dev/ptmx && echo there)"
echo "input $(cat | wc -c)"
(sleep 1000 &)
echo "said apart" > /dev/stderr
echo "reopened" > /dev/stdout
exit 7
`;

onNativeKvm("a guest runs a command in the host's files, and its status is hvsh's", async () => {
  await using home = new HvshHome();
  Deno.mkdirSync(`${home.folder}/shared`);
  home.write("file", "of the host");
  const [{ status, stdout, stderr }, unknown] = await Promise.all([
    home.run([
      ...["run", "--share", "shared --writable", ...KERNEL],
      ...["--", "sh", "-c", SCRIPT, "sh", "two  words"],
    ], "12345"),
    home.run(["run", ...KERNEL, "--", "no-such-command"]),
  ]);
  assert.deepEqual([status, stderr], [7, "said apart\n"], stdout);
  const lines = stdout.split("\n");
  const said = (name: string) =>
    lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1) ?? "";
  assert.match(said("kernel"), /^\d+\.\d+\.\d+/);
  assert.equal(said("folder"), Deno.realPathSync(home.folder));
  assert.equal(said("argument"), "two  words");
  assert.match(said("user"), /^0 \S+ $/);
  assert.match(said("root"), /Read-only file system/);
  assert.match(said("readonly"), /Read-only file system/);
  assert.equal(said("host"), "of the host");
  assert.equal(Deno.readTextFileSync(`${home.folder}/shared/written`), "one\n");
  assert.match(said("own"), /x$/);
  assert.equal(said("devices"), "there");
  assert.equal(said("input"), "5");
  assert.equal(lines.at(-2), "reopened");
  assert.deepEqual(unknown, {
    ...{ status: 127, stdout: "", stderr: "hvsh run: no-such-command: not found\n" },
  });
});

onNativeKvm(
  "bytes of any value pass through two guests in a pipeline, to the last one",
  async () => {
    await using home = new HvshHome();
    const bytes = new Uint8Array(1 << 20).map((_, n) => (n * 7 + (n >> 9) * 13) & 0xff);
    const run = `hvsh run ${KERNEL.join(" ")} --`;
    const { status, stdout, stderr } = await home.line(`${run} cat | ${run} cat`, bytes);
    assert.deepEqual([status, stderr], [0, ""]);
    const md5 = (data: string | Uint8Array) => createHash("md5").update(data).digest("hex");
    assert.equal(stdout.length, bytes.length);
    assert.equal(md5(Uint8Array.from(stdout, (char) => char.charCodeAt(0))), md5(bytes));
  },
);

onNativeKvm(
  "a signal, a reader that is gone, a panic, a lack and a limit have statuses",
  async () => {
    await using home = new HvshHome();
    Deno.mkdirSync(`${home.folder}/none`);
    home.write("none/modules.dep", "");
    const run = (flags: string[], ...command: string[]) =>
      home.run(["run", ...KERNEL, ...flags, "--", ...command]);
    const ended = await Promise.all([
      run([], "sh", "-c", "kill -9 $$"),
      home.line(`{ hvsh run ${KERNEL.join(" ")} -- yes; echo "status $?" >&2; } | head -n 1`),
    ]);
    assert.deepEqual(ended, [
      { status: 137, stdout: "", stderr: "" },
      { status: 0, stdout: "y\n", stderr: "status 141\n" },
    ]);
    const [panicked, lacking] = await Promise.all([
      run([], "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 1000"),
      run(["--modules", "none"], "true"),
    ]);
    assert.deepEqual([panicked.status, panicked.stdout], [101, ""], panicked.stderr);
    assert.match(panicked.stderr, /\| .*Kernel panic - not syncing: sysrq triggered crash/);
    assert.match(panicked.stderr, /^hvsh run: the guest's kernel panicked$/m);
    assert.deepEqual([lacking.status, lacking.stdout], [125, ""]);
    assert.match(
      lacking.stderr,
      /^hvsh run: The guest could not mount the host's files: .*ENODEV/m,
    );
    assert.match(lacking.stderr, /CONFIG_VIRTIO_PCI=y CONFIG_FUSE_FS=y CONFIG_VIRTIO_FS=y/);
    const late = await run(["--timeout", "1"], "true");
    assert.deepEqual([late.status, late.stdout], [124, ""]);
    assert.match(late.stderr, /^hvsh run: timeout after 1 s\n/);
  },
);

/** On a terminal: says where it is, waits for another size of the window, and repeats what is typed. */
const ON_TERMINAL = `
sized() { until [ "$(stty size)" = "$*" ]; do usleep 50000; done; }
echo "at $(tty)"
sized 24 80
echo "sized"
sized 30 100
echo "resized"
trap 'echo interrupted' INT
cat
echo "until it ended"
`;

onNativeKvm("at a terminal the command has one, with its window's size and its keys", async () => {
  await using home = new HvshHome();
  home.write("t.sh", ON_TERMINAL);
  await using shell = new ShellOnTerminal(home.folder, {
    HVSH_DENO: Deno.execPath(),
    PATH: `${new URL("../../scripts", import.meta.url).pathname}:${Deno.env.get("PATH")}`,
    XDG_RUNTIME_DIR: home.runtime,
  }, ["sh", "-c", `hvsh run ${KERNEL.join(" ")} -- sh t.sh; echo "status $?"; read end`]);
  await shell.until("Ctrl-] ends the VM");
  await shell.until("at /dev/hvc0");
  await shell.until("sized"); // a driver of Linux hears of it when the terminal is there already
  shell.resize(100, 30);
  await shell.until("resized");
  shell.type("typed\r");
  await shell.until("typed"); // its terminal's echo
  await shell.until("typed");
  shell.type("\x03");
  await shell.until("interrupted");
  await shell.until("until it ended");
  await shell.until("status 0");
});

onNativeKvm(
  "git bisect finds the commit that broke a test, with a guest for each step",
  async () => {
    await using home = new HvshHome();
    const script = new URL("../../scripts/examples/kernel_bisect.sh", import.meta.url).pathname;
    const { status, stdout, stderr } = await home.line(
      // A slow host must not make a bad commit of a good one.
      `sh ${script} ${guestPath("vmlinuz")} --modules ${guestPath("modules")} --timeout 110`,
    );
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /^[0-9a-f]{40} is the first bad commit$/m);
    assert.match(stdout, /^ {4}Do without IPv6$/m);
  },
  ["git"],
);
