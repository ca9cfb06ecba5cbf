import assert from "node:assert/strict";
import { ECHO, exitWith, listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

/** Says R, and spins from then on, in its NMI's handler too. Real mode. */
const NMI_SPIN = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  8e d0                 mov ss, ax
  bc 00 7c              mov sp, 0x7c00
  c7 06 08 00 18 7c     mov word [8], 0x7c18    ; vector 2
  a3 0a 00              mov [0xa], ax
  ba f8 03              mov dx, 0x3f8
  b0 52                 mov al, 'R'
  ee                    out dx, al
  eb fe                 jmp $                   ; 7c18
`);

onKvm("VMs are named by patterns, several words and handles, which are passed on", async () => {
  await using home = new HvshHome();
  for (const name of ["web1", "web2", "db"]) await detached(home, name, SPIN);
  const live = (line: string) =>
    home.line(line).then((result) => records(result).map(({ live, state }) => `${live} ${state}`));
  assert.deepEqual(await live("hvsh pause 'web*'"), ["web1 paused", "web2 paused"]);
  assert.deepEqual(await live("hvsh list"), ["db running", "web1 paused", "web2 paused"]);
  assert.deepEqual(await live("hvsh list 'web?'"), ["web1 paused", "web2 paused"]);
  assert.deepEqual(await live("hvsh list 'web?' | hvsh reset | hvsh resume"), [
    "web1 running",
    "web2 running",
  ]);
  assert.deepEqual(await live("hvsh list db | hvsh pause - web1 'w*'"), [
    "db paused",
    "web1 paused",
    "web2 paused",
  ]);
  const none = await home.run(["pause", "x*"]);
  assert.deepEqual([none.status, none.stdout], [125, ""]);
  assert.match(none.stderr, /There is no live VM whose name matches x\*/);
  await home.run(["resume", "web1"]);
  // One that fails keeps the others from nothing.
  const some = await home.run(["resume", "*"]);
  assert.equal(some.status, 125);
  assert.deepEqual(some.stdout.trim().split("\n").length, 2);
  assert.match(
    some.stderr,
    /1 of 3 VMs: it failed\n {2}web1: Cannot resume a VM that is running\n/,
  );
  assert.deepEqual((await live("hvsh kill '*'")).length, 3);
  assert.deepEqual(await live("hvsh list"), []);
  assert.deepEqual(await live("hvsh status 'web*'"), ["web1 ended", "web2 ended"]);
  assert.equal((await home.line("hvsh wait '*' | wc -l")).stdout.trim(), "3");
});

onKvm("a name is free as soon as `kill` or `stop` has come back", async () => {
  await using home = new HvshHome();
  for (const verb of ["kill", "stop", "kill", "stop"]) {
    await detached(home, "again", SPIN);
    records(await home.run([verb, "again"]));
  }
  records(await home.run(["status", "again"]));
  assert.equal((await home.run(["wait", "again"])).status, 137);
});

onKvm("stop presses the power button, and pulls the plug if nobody hears it", async () => {
  await using home = new HvshHome();
  await detached(home, "deaf", SPIN, "--rng", "");
  const began = performance.now();
  const [ended] = records(await home.run(["stop", "deaf", "--timeout", "1"]));
  assert.deepEqual(ended, { live: "deaf", state: "ended" });
  assert.ok(performance.now() - began >= 1000);
  assert.equal(JSON.parse((await home.run(["wait", "deaf"])).stdout).reason, "killed");
});

onKvm(
  "a console is read, typed into and waited for, by pipes and one after the other",
  async () => {
    await using home = new HvshHome();
    await detached(home, "echo", ECHO);
    await using first = home.start(["console", "echo"], "open");
    await first.send("one ");
    await first.until("one ");
    await using second = home.start(["console", "echo", "--backlog"], "open");
    await second.until("one ");
    await second.send("two ");
    await first.until("two ");
    await second.until("two ");
    // Each wait begins where the last one ended.
    const found = await home.run(["console", "echo", "--expect", "ne tw", "--timeout", "60"]);
    assert.deepEqual(found, { status: 0, stdout: "one tw", stderr: "" });
    const late = await home.run(["console", "echo", "--expect", "one", "--timeout", "0.2"]);
    assert.deepEqual([late.status, late.stdout], [124, "o "]);
    assert.match(late.stderr, /"one" was not printed within 0.2 s/);

    const [status] = records(await home.line("hvsh list | hvsh detach"));
    assert.deepEqual([status!.live, status!.state], ["echo", "running"]);
    assert.deepEqual(await first.result(), { status: 0, stdout: "one two ", stderr: "" });
    assert.equal((await second.result()).status, 0);

    assert.deepEqual(await home.run(["log", "echo"]), {
      status: 0,
      stdout: "one two ",
      stderr: "",
    });
    await using log = home.start(["log", "-f", "echo"]);
    await log.until("one two ");
    await using waiting = home.start(["console", "echo", "--expect", "never"]);
    await waiting.until("o ");
    assert.equal((await home.run(["console", "echo"], "three\n")).stdout, "three\n");
    assert.equal((await log.result()).stdout, "one two three\n");
    assert.match((await waiting.result()).stderr, /"never" was not printed: echo has ended/);
    assert.equal((await home.run(["log", "echo"])).stdout, "one two three\n");
    assert.equal((await home.run(["wait", "echo"])).status, 7);
  },
);

onKvm(
  "with a document on stdin `console` and `balloon` build, with a handle they don't",
  async () => {
    await using home = new HvshHome();
    const built = await home.line(
      "hvsh create | hvsh console | hvsh balloon | jq -r .devices[].name",
    );
    assert.deepEqual(built, { status: 0, stdout: "serial0\nconsole0\nballoon0\n", stderr: "" });
    await detached(home, "web", ECHO, "--balloon", "");
    const [handle] = records(await home.line("hvsh list | hvsh balloon --target 512K"));
    assert.equal(handle!.live, "web");
    records(await home.run(["balloon", "web", "256K"]));
    const stat = await home.line("hvsh stat web | jq -c 'select(.device==\"balloon0\") | .target'");
    assert.equal(stat.stdout, "262144\n");
    const mixed = await home.run(["console", "web", "--port", "agent"]);
    assert.deepEqual([mixed.status, mixed.stdout], [2, ""]);
    await home.run(["console", "web"], "\n");
    await home.run(["wait", "web"]);
  },
);

onKvm("events tell of states and resets, before and from now on", async () => {
  await using home = new HvshHome();
  await detached(home, "web", SPIN, "--paused");
  await using following = home.start(["events", "web"]);
  await following.until("paused");
  await home.line("hvsh resume web && hvsh reset web && hvsh pause web");
  await using late = home.start(["events", "web", "--since", "0"]);
  const before = records(await home.run(["events", "web", "--no-follow"]));
  assert.deepEqual(before.map(({ kind }) => kind), ["paused", "running", "reset", "paused"]);
  assert.deepEqual([before[2]!.live, before[2]!.by, before[2]!.count], ["web", "host", 1]);
  // That it follows is known by what it says.
  await home.line("for n in 1 2 3 4 5 6 7 8; do hvsh resume web; hvsh pause web; done");
  await late.more();
  await home.run(["kill", "web"]);
  const all = (await following.result()).stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(all.slice(0, 4), before);
  const { kind, reason, status } = all.at(-1);
  assert.deepEqual([kind, reason, status], ["ended", "killed", 137]);
  assert.doesNotMatch((await late.result()).stdout, /reset/);
  await home.run(["wait", "web"]);
});

onKvm("what is injected is checked, and the handles are passed on", async () => {
  await using home = new HvshHome();
  await detached(home, "web", NMI_SPIN);
  await home.run(["console", "web", "--expect", "R", "--timeout", "60"]);
  const [handle] = records(await home.line("hvsh list | hvsh inject nmi | hvsh inject - nmi"));
  assert.equal(handle!.live, "web");
  for (
    const [words, complaint] of [
      [["vector", "256"], /no number from 0 to 255/],
      [["nmi", "--cpu", "1"], /There is no CPU 1/],
      [["nmi", "--bank", "1"], /--bank does nothing with nmi/],
      [["mce", "--status", "x"], /"x" is no number/],
      [["sysrq"], /nothing is no key/],
      [["web"], /What to inject is missing/],
    ] as const
  ) {
    const { status, stderr } = await home.run(["inject", "web", ...words]);
    assert.notEqual(status, 0);
    assert.match(stderr, complaint);
  }
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);
});

onKvm("a sysrq key is a break and the key behind it, on the first serial port", async () => {
  await using home = new HvshHome();
  await detached(home, "web", ECHO);
  records(await home.run(["inject", "web", "sysrq", "h"]));
  const said = await home.run(["console", "web", "--expect", "h", "--timeout", "20"]);
  assert.equal(said.stdout, "\0h");
  await home.run(["kill", "web"]);
  await home.run(["wait", "web"]);
});

onKvm("a VM in the foreground says that it can't be detached", async () => {
  await using home = new HvshHome();
  const path = home.write("echo.bin", ECHO);
  await using process = home.start(["run", "-n", "web", "--flat", path], "open");
  await process.send("up");
  await process.until("up");
  const { status, stderr } = await home.run(["detach", "web"]);
  assert.equal(status, 125);
  assert.match(stderr, /web runs in the foreground of process \d+/);
  await process.send("\n");
  assert.equal((await process.result()).status, 7);
});

onKvm("a VM that hvsh itself fails to run leaves word of that", async () => {
  await using home = new HvshHome();
  await detached(home, "web", exitWith(1), "--paused", "--reboot", "restart");
  Deno.removeSync(`${home.folder}/web.bin`);
  const reset = await home.run(["reset", "web"]);
  assert.equal(reset.status, 125);
  const { status, stdout } = await home.run(["wait", "web"]);
  assert.equal(status, 125);
  assert.equal(JSON.parse(stdout).reason, "failed");
});

onKvm("a detached VM has no streams to fail on, and leaves word of any failure", async () => {
  await using home = new HvshHome();
  const device = new URL("talkative_device.ts", import.meta.url).pathname;
  const code = listing(`
    ba 00 03              mov dx, 0x300
    ee                    out dx, al
    eb fe                 jmp $
  `);
  const { pid } = await detached(home, "web", code, "--paused", "--device", device);
  records(await home.run(["status", "web"])); // by then it has done all that it does after the handle
  const streams = [0, 1, 2].map((fd) => Deno.readLinkSync(`/proc/${pid}/fd/${fd}`));
  assert.deepEqual(streams, ["/dev/null", "/dev/null", "/dev/null"]);
  records(await home.run(["resume", "web"]));
  const { status, stdout } = await home.run(["wait", "web"]);
  assert.deepEqual([status, JSON.parse(stdout)], [125, {
    live: "web",
    state: "ended",
    reason: "failed",
    status: 125,
    message: "The device has a mistake",
  }]);
});
