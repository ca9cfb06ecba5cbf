import assert from "node:assert/strict";
import { Machine } from "../../vmm/machine.ts";
import { flatDocument } from "../flat_machine.ts";
import { ECHO, FLOOD, HALT, HELLO, listing, SPIN } from "../guest_code.ts";
import { filesBelow, killIfThere } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Looks until something is so; the tests' own deadline is run_hvsh's. */
async function until<T>(look: () => T | undefined | false): Promise<T> {
  const end = performance.now() + 60_000;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    assert.ok(performance.now() < end, "It never came");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const pause = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** Starts a detached VM and gives its owner's process. */
async function detached(home: HvshHome, name: string, code: Uint8Array, ...flags: string[]) {
  const path = home.write(`${name}.bin`, code);
  const { status, stdout, stderr } = await home.run(
    ["run", "-d", "-n", name, ...flags, "--flat", path],
  );
  assert.deepEqual([status, stderr], [0, ""]);
  return JSON.parse(stdout).pid as number;
}

onKvm("kill -9 of an owner at any instant leaves nothing that stops the next one", async () => {
  await using home = new HvshHome();
  const path = home.write("spin.bin", SPIN);
  for (let round = 0; round < 8; round++) {
    await using process = home.start(["run", "-n", "web", "--flat", path]);
    await pause(Math.random() * 150);
    process.kill("SIGKILL");
    await process.result();
  }
  for (let round = 0; round < 6; round++) {
    await using process = home.start(["run", "-d", "-n", "web", "--flat", path]);
    await pause(Math.random() * 250);
    process.kill("SIGKILL"); // of who detaches: its VM lives, or it never does
    await process.result();
    for (const { pid } of home.processes()) killIfThere(pid);
    await home.empty();
  }
  const hello = home.write("hello.bin", HELLO);
  const next = await home.run(["run", "-n", "web", "--flat", hello]);
  assert.deepEqual(next, { status: 0, stdout: "H\n", stderr: "" });
});

onKvm("kill -9 of any stage at any instant ends the whole pipeline", async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  const line =
    "hvsh create | hvsh flat spin.bin | hvsh cmdline x | hvsh run -n web --timeout 300ms";
  for (let round = 0; round < 8; round++) {
    await using process = home.startLine(line);
    await pause(Math.random() * 200);
    const stages = home.processes().filter(({ pid }) => pid !== process.pid);
    const victim = stages[Math.floor(Math.random() * stages.length)];
    if (victim !== undefined) killIfThere(victim.pid);
    await process.result();
    await home.empty();
  }
  const hello = home.write("hello.bin", HELLO);
  assert.equal((await home.run(["run", "-n", "web", "--flat", hello])).stdout, "H\n");
});

onKvm("signals that stop and wake, or mean nothing to it, change nothing for a VM", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  await using process = home.start(["run", "--flat", path], "open");
  await process.send("0");
  await process.until("0");
  for (let round = 1; round < 10; round++) {
    for (const signal of ["SIGWINCH", "SIGURG", "SIGSTOP", "SIGCONT"] as const) {
      process.kill(signal);
    }
    await process.send(`${round}`);
    await process.until(`${round}`);
  }
  await process.send("\n");
  assert.deepEqual(await process.result(), { status: 7, stdout: "0123456789\n", stderr: "" });
});

onKvm("SIGTERM ends a detached VM, and wait tells of it", async () => {
  await using home = new HvshHome();
  for (const signal of ["SIGTERM", "SIGHUP"] as const) {
    Deno.kill(await detached(home, "web", SPIN), signal);
    await home.empty();
    const { status, stdout } = await home.run(["wait", "web"]);
    assert.deepEqual([status, JSON.parse(stdout).reason], [137, "killed"]);
  }
});

onKvm("a reader of handles that goes away leaves the detached VM alone", async () => {
  await using home = new HvshHome();
  home.write("spin.bin", SPIN);
  await home.line("hvsh run -d -n web --flat spin.bin | true");
  const { stdout } = await home.run(["list"]);
  assert.equal(JSON.parse(stdout).state, "running");
  assert.equal((await home.run(["kill", "web"])).status, 0);
  await home.run(["wait", "web"]);
});

onKvm("a full disk behind stdout ends a VM with 125 and says so", async () => {
  await using home = new HvshHome();
  home.write("flood.bin", FLOOD);
  const { status, stderr } = await home.line("hvsh run --flat flood.bin >/dev/full");
  assert.equal(status, 125);
  assert.equal(stderr, "hvsh run: stdout: write: no space left on device (ENOSPC)\n");
});

onKvm("a full disk behind a detached VM's log loses output and not the VM", async () => {
  await using home = new HvshHome();
  await detached(home, "web", FLOOD, "--paused");
  const log = `${home.runtime}/hvsh/web/console.log`;
  Deno.symlinkSync("/dev/full", log);
  assert.equal((await home.run(["resume", "web"])).status, 0);
  for (let round = 0; round < 3; round++) {
    assert.equal((await home.run(["pause", "web"])).status, 0);
    assert.equal((await home.run(["resume", "web"])).status, 0);
  }
  Deno.removeSync(log);
  await until(() => filesBelow(`${home.runtime}/hvsh`).includes("web/console.log"));
  await until(() => Deno.readTextFileSync(log).includes("bytes are missing here: No space left"));
  await home.run(["kill", "web"]);
  assert.equal((await home.run(["wait", "web"])).status, 137);
});

onKvm("a full disk under the word of a VM's end frees its name all the same", async () => {
  await using home = new HvshHome();
  await detached(home, "web", SPIN);
  Deno.symlinkSync("/dev/full", `${home.runtime}/hvsh/web/exit.new`);
  assert.equal((await home.run(["kill", "web"])).status, 0);
  await home.empty();
  const late = await home.run(["wait", "web"]);
  assert.equal(late.status, 125);
  assert.match(late.stderr, /There is no live VM named "web"/);
  const hello = home.write("hello.bin", HELLO);
  assert.equal((await home.run(["run", "-n", "web", "--flat", hello])).stdout, "H\n");
});

onKvm("a limit of open files is told with 125, and leaves nothing", async () => {
  await using home = new HvshHome();
  const memory = Array.from(
    { length: 200 },
    (_, i) => ({ type: "ram", base: i * 2 ** 20, size: 2 ** 20 }),
  );
  const boot = { flat: { images: [{ data: HALT.toBase64() }] } };
  home.write("vm.json", JSON.stringify({ vm: 1, name: "web", memory, boot }));
  const { status, stdout, stderr } = await home.line("ulimit -n 100; hvsh run <vm.json");
  assert.deepEqual([status, stdout], [125, ""]);
  assert.equal(
    stderr,
    "hvsh run: memfd_create: too many open files (EMFILE)\n" +
      "  try: `ulimit -n`: each region of memory takes a descriptor\n",
  );
  assert.equal((await home.line("ulimit -n 1000; hvsh run <vm.json")).status, 0);
});

onKvm("a limit of file sizes is told with 125, and does not end hvsh by a signal", async () => {
  await using home = new HvshHome();
  home.write("hello.bin", HELLO);
  const line = "ulimit -f 4000000; hvsh run -m 4G --flat hello.bin";
  assert.deepEqual(await home.line(line), {
    status: 125,
    stdout: "",
    stderr: "hvsh run: ftruncate: file too large (EFBIG)\n" +
      "  try: `ulimit -f`: the guest's memory counts as a file\n",
  });
});

onKvm("more clients than an owner has descriptors for wait, and the VM goes on", async () => {
  await using home = new HvshHome();
  const path = home.write("spin.bin", SPIN);
  const line = `ulimit -n 64; hvsh run -d -n web --flat ${path}`;
  assert.equal((await home.line(line)).status, 0);
  const control = { transport: "unix", path: `${home.runtime}/hvsh/web/control` } as const;
  const clients: Deno.UnixConn[] = [];
  for (let i = 0; i < 100; i++) clients.push(await Deno.connect(control));
  const asked = home.start(["list"]);
  for (const client of clients) client.close();
  assert.equal(JSON.parse((await asked.result()).stdout).state, "running");
  await home.run(["kill", "web"]);
  assert.equal((await home.run(["wait", "web"])).status, 137);
});

onKvm("a file that is cut off under its guest harms the guest at most", async () => {
  // It reads and writes the second page of what is mapped at 64 KiB.
  const code = listing(`
    b8 00 10              mov ax, 0x1000
    8e d8                 mov ds, ax
    a1 00 10              mov ax, [0x1000]
    ff 06 00 10           inc word [0x1000]
    b0 05                 mov al, 5
    e6 f4                 out 0xf4, al
    f4                    hlt
  `);
  await using home = new HvshHome();
  for (const type of ["shared", "file", "rom"]) {
    for (const sprint of [false, true]) {
      const path = home.write("region", new Uint8Array(8192));
      await using machine = await Machine.create(flatDocument(code, {}, {
        memory: [{ type: "ram", base: 0, size: 0x1_0000 }, { type, base: 0x1_0000, path }],
      }));
      Deno.truncateSync(path, 0);
      machine.start({ sprint });
      const { kind, status } = await machine.ended;
      // KVM gives the guest nothing there, or KVM_RUN an EFAULT.
      assert.ok(kind === "exit" ? status === 5 : kind === "fault" && status === 125, kind);
      assert.equal(Deno.statSync(path).size, 0);
    }
  }
});
