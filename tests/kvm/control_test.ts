import assert from "node:assert/strict";
import { ECHO, exitWith, listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

/** Says U, N or V for #UD, an NMI and vector 0x40, and otherwise spins with interrupts on. Real mode. */
const VECTORS = listing(`
  31 c0                 xor ax, ax
  8e d8                 mov ds, ax
  8e d0                 mov ss, ax
  bc 00 7c              mov sp, 0x7c00
  c7 06 08 00 2b 7c     mov word [8], 0x7c2b      ; vector 2
  c7 06 18 00 2f 7c     mov word [0x18], 0x7c2f   ; vector 6
  c7 06 00 01 33 7c     mov word [0x100], 0x7c33  ; vector 0x40
  a3 0a 00              mov [0xa], ax
  a3 1a 00              mov [0x1a], ax
  a3 02 01              mov [0x102], ax
  b0 52                 mov al, 'R'
  fb                    sti
  eb 0c                 jmp say
  eb fe                 spin: jmp $
  b0 4e                 mov al, 'N'               ; 7c2b
  eb 06                 jmp say
  b0 55                 mov al, 'U'               ; 7c2f
  eb 02                 jmp say
  b0 56                 mov al, 'V'               ; 7c33
  ba f8 03              say: mov dx, 0x3f8        ; 7c35
  ee                    out dx, al
  fb                    sti
  eb ed                 jmp spin
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
  assert.match(some.stderr, /^web1: Cannot resume a VM that is running\n.*1 of 3 VMs/s);
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

onKvm("an NMI, an exception and an interrupt reach the guest", async () => {
  await using home = new HvshHome();
  await detached(home, "web", VECTORS);
  const expect = (text: string) =>
    home.run(["console", "web", "--expect", text, "--timeout", "60"]);
  assert.equal((await expect("R")).stdout, "R");
  records(await home.run(["inject", "web", "nmi"]));
  assert.equal((await expect("N")).stdout, "N");
  records(await home.run(["inject", "web", "vector", "6"]));
  assert.equal((await expect("U")).stdout, "U");
  const [handle] = records(await home.line("hvsh list | hvsh inject vector 0x40"));
  assert.equal(handle!.live, "web");
  assert.equal((await expect("V")).stdout, "V");
  for (
    const [words, complaint] of [
      [["vector", "256"], /no number from 0 to 255/],
      [["nmi", "--cpu", "1"], /There is no CPU 1/],
      [["nmi", "--bank", "1"], /--bank does nothing with nmi/],
      [["mce", "--status", "x"], /"x" is no number/],
      [["mce", "--status", "1"], /KVM_X86_SET_MCE/],
    ] as const
  ) {
    const { status, stderr } = await home.run(["inject", "web", ...words]);
    assert.notEqual(status, 0);
    assert.match(stderr, complaint);
  }
  // A corrected error is only noted.
  records(
    await home.run(["inject", "web", "mce", "--bank", "1", "--status", "0x8000000000000000"]),
  );
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
