/**
 * The sessions that the documentation promises, and what must be seen of each: those that need no Linux
 * guest.
 *
 * @module
 */
import "./c_library.ts";
import assert from "node:assert/strict";
import { basename } from "node:path";
import { hasSlirp } from "../ffi/slirp.ts";
import { COUNT, HELLO, SPIN } from "./guest_code.ts";
import type { HvshHome, HvshResult } from "./run_hvsh.ts";
import { FAR_RUNTIME, type Session } from "./session.ts";
import { deviceKernel, FUZZED, MACHINE_CHECK_HANDLER, POLL } from "./session_guests.ts";
import { symbolElf } from "./symbol_elf.ts";
import { detached, records } from "./vm_home.ts";

const LOOK_MILLISECONDS = 20;
const DEADLINE_SECONDS = 180;

/** The states of live VMs by their names, as `hvsh list` has them. */
async function states(home: HvshHome): Promise<Record<string, unknown>> {
  const handles = records(await home.run(["list"]));
  return Object.fromEntries(handles.map(({ live, state }) => [live, state]));
}

/** Starts VM web, which counts. */
async function web(home: HvshHome): Promise<void> {
  await detached(home, "web", COUNT);
}

async function pausedWeb(home: HvshHome): Promise<void> {
  await detached(home, "web", SPIN, "--paused");
}

/** The one handle that it printed. */
function handle(result: HvshResult): Record<string, unknown> {
  const [first, ...more] = records(result);
  assert.equal(more.length, 0);
  return first!;
}

/** What a line of sh prints, after looking that it did well. */
async function printed(home: HvshHome, line: string): Promise<string> {
  const { status, stdout, stderr } = await home.line(line);
  assert.deepEqual([status, stderr], [0, ""], line);
  return stdout;
}

/** Waits until a process of a program has written something. */
async function hasWritten(home: HvshHome, program: string): Promise<void> {
  const end = performance.now() + DEADLINE_SECONDS * 1000;
  for (;;) {
    for (const { pid, command } of home.processes()) {
      if (basename(command.split(" ")[0]!) !== program) continue;
      try {
        const io = Deno.readTextFileSync(`/proc/${pid}/io`);
        if (!/^wchar: 0$/m.test(io)) return;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    assert.ok(performance.now() < end, `${program} has written nothing in ${DEADLINE_SECONDS} s`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
  }
}

/** How hvsh is called where `ssh` leads. */
const farHvsh = `XDG_RUNTIME_DIR=$PWD/${FAR_RUNTIME} hvsh`;

/** The sessions. */
export const SESSIONS: readonly Session[] = [
  {
    text: String.raw`printf '\xba\xf8\x03\xb0H\xee\xb0\n\xee\xf4' | hvsh run --flat -`,
    bash: true,
    after: (result) => assert.deepEqual(result, { status: 0, stdout: "H\n", stderr: "" }),
  },
  {
    text:
      "hvsh create -m 256M | hvsh kernel bzImage | hvsh disk root.img | hvsh net user | hvsh run",
    programs: hasSlirp() ? [] : ["passt"], // either does
    before(home) {
      home.write("bzImage", deviceKernel());
      home.write("root.img", new Uint8Array(1 << 20));
    },
    after({ status, stdout, stderr }) {
      assert.deepEqual([status, stderr], [0, ""]);
      assert.deepEqual([...stdout].sort().join(""), "\nAB");
    },
  },
  {
    text: "hvsh create | hvsh kernel bzImage | jq -c '.cpus=2' | tee vm.json | hvsh run -d -n web",
    programs: ["jq"],
    before: (home) => void home.write("bzImage", deviceKernel()),
    async after(result, home) {
      assert.equal(handle(result).live, "web");
      const { cpus, boot } = JSON.parse(Deno.readTextFileSync(`${home.folder}/vm.json`));
      assert.deepEqual([cpus, boot.kernel.path], [2, `${home.folder}/bzImage`]);
      assert.equal(handle(await home.run(["wait", "web"])).status, 0);
    },
  },
  {
    text: `hvsh list | jq -c 'select(.state=="paused")' | hvsh resume`,
    programs: ["jq"],
    async before(home) {
      await pausedWeb(home);
      await detached(home, "busy", COUNT);
    },
    async after(result, home) {
      const { live, state } = handle(result);
      assert.deepEqual([live, state], ["web", "running"]);
      assert.deepEqual(await states(home), { web: "running", busy: "running" });
    },
  },
  {
    text: "hvsh pause web | hvsh snapshot | zstd > web.tzst",
    programs: ["zstd"],
    before: web,
    async after({ status, stdout }, home) {
      assert.deepEqual([status, stdout], [0, ""]);
      assert.equal((await states(home)).web, "paused");
      const counter = await printed(home, "hvsh mem read web 0x10000 4");
      const restored = await home.line("zstd -dc web.tzst | hvsh restore -d --paused -n web2");
      assert.equal(handle(restored).state, "paused");
      assert.equal(await printed(home, "hvsh mem read web2 0x10000 4"), counter);
    },
  },
  {
    text: "hvsh snapshot web | tar xO vm.json | jq .devices",
    programs: ["jq"],
    before: web,
    after({ status, stdout }) {
      const [serial, ...more] = JSON.parse(stdout);
      assert.deepEqual([status, serial.type, more.length], [0, "serial", 0]);
    },
  },
  {
    text: "hvsh snapshot web --stop | zstd | ssh host 'zstd -d | hvsh restore -d'",
    programs: ["zstd"],
    before: web,
    async after({ status, stdout }, home) {
      assert.equal(status, 0);
      assert.equal(JSON.parse(stdout).live, "web");
      assert.deepEqual(await states(home), {});
      const look = `${farHvsh} mem read web 0x10000 4`;
      const counter = await printed(home, look);
      while (await printed(home, look) === counter);
    },
  },
  {
    text: "hvsh migrate web -- ssh host hvsh restore --live",
    before: web,
    async after({ status, stdout, stderr }, home) {
      assert.equal(status, 0, stderr);
      const { live, state, reason } = JSON.parse(stdout);
      assert.deepEqual([live, state, reason], ["web", "ended", "migrated"]);
      assert.match(stderr, /downtime \d+ ms$/m);
      assert.equal(JSON.parse(await printed(home, `${farHvsh} list`)).state, "running");
    },
  },
  {
    text: "hvsh mem read web 0x1000 64 | xxd",
    programs: ["xxd"],
    before: web,
    after({ status, stdout }) {
      assert.equal(status, 0);
      assert.match(stdout, /^(000000[0-3]0: (0000 ){8} \.{16}\n){4}$/);
    },
  },
  {
    text: String.raw`printf '\x90\x90' | hvsh mem write web 0x7c10`,
    bash: true,
    before: web,
    async after({ status }, home) {
      assert.equal(status, 0);
      assert.equal(await printed(home, "hvsh mem read web 0x7c0f 4"), "\0\x90\x90\0");
    },
  },
  {
    text: "hvsh regs web --set rip=0x1000 rflags=2",
    before: pausedWeb,
    async after({ status, stderr }, home) {
      assert.deepEqual([status, stderr], [0, ""]);
      const { rip, rflags } = JSON.parse(await printed(home, "hvsh regs web"));
      assert.deepEqual([BigInt(rip), BigInt(rflags)], [0x1000n, 2n]);
    },
  },
  {
    text: "hvsh create | hvsh flat boot.bin@0x7c00 | hvsh run -d --paused -n cls; " +
      "while read _; do hvsh step cls; done",
    before: (home) => void home.write("boot.bin", HELLO),
    stdin: "\n\n\n\n\n\n",
    async after(result, home) {
      const [started, ...steps] = records(result);
      assert.deepEqual([started!.live, started!.state], ["cls", "paused"]);
      assert.deepEqual(
        steps.map(({ pc, instruction }) => `${pc} ${instruction}`),
        [
          "0x7c03 mov al,48h",
          "0x7c05 out dx,al",
          "0x7c06 mov al,0Ah",
          "0x7c08 out dx,al",
          "0x7c09 hlt",
        ],
      );
      assert.equal(handle(await home.run(["wait", "cls"])).reason, "halt");
    },
  },
  {
    text: "gdb vmlinux -ex 'target remote | hvsh gdb web'",
    programs: ["gdb"],
    async before(home) {
      const symbols = [{ address: 0x7c00n, size: SPIN.length, name: "spin" }];
      home.write("vmlinux", symbolElf(symbols));
      await detached(home, "web", SPIN, "--mode", "long");
    },
    stdin: "info symbol $pc\nx/i $pc\ndetach\nquit\n",
    async after({ status, stdout, stderr }, home) {
      assert.equal(status, 0, stderr);
      assert.match(stdout, /spin in section \.text/);
      assert.match(stdout, /=> 0x7c00 <spin>:\s+jmp +0x7c00 <spin>/);
      assert.equal((await states(home)).web, "running");
    },
  },
  {
    text: "ls corpus/* | xargs -P8 -I{} sh -c " +
      "'hvsh fork gold --rm | hvsh mem write 0x20000 {} | hvsh resume --wait --timeout 1 || cp {} bad/'",
    // A machine that is busy elsewhere must not make an input bad.
    instead: [["--timeout 1", "--timeout 60"]],
    async before(home) {
      for (const folder of ["corpus", "bad"]) Deno.mkdirSync(`${home.folder}/${folder}`);
      for (const [name, text] of [["a", "a"], ["b", "!"], ["c", "c"], ["d", "!!"]] as const) {
        home.write(`corpus/${name}`, text);
      }
      await detached(home, "gold", FUZZED, "--paused");
    },
    async after({ status, stderr }, home) {
      assert.deepEqual([status, stderr], [0, ""]);
      assert.deepEqual(await printed(home, "ls bad"), "b\nd\n");
      assert.deepEqual(await states(home), { gold: "paused" });
    },
  },
  {
    text: "hvsh trace web | jq -r .reason | sort | uniq -c | sort -rn",
    programs: ["jq"],
    before: async (home) => void await detached(home, "web", POLL),
    async meanwhile(home) {
      await hasWritten(home, "jq"); // its first 4 KiB of reasons
      await home.run(["kill", "web"]);
    },
    after({ status, stdout }) {
      assert.equal(status, 0);
      assert.match(stdout, /^ +\d{3,} io\n/);
    },
  },
  {
    text: "hvsh perf web -t 10 --folded | flamegraph.pl > f.svg",
    instead: [["-t 10", "-t 1"]],
    before: async (home) => void await detached(home, "web", SPIN),
    after({ status }, home) {
      assert.equal(status, 0);
      assert.match(Deno.readTextFileSync(`${home.folder}/f.svg`), /^0x7c00 \d+\n/);
    },
  },
  {
    text: "hvsh inject web mce --bank 4 && hvsh console web --expect 'Machine check' --timeout 5",
    instead: [["--timeout 5", "--timeout 60"]],
    async before(home) {
      await detached(home, "web", MACHINE_CHECK_HANDLER);
      await printed(home, "hvsh console web --expect R --timeout 60");
    },
    after({ status, stdout }) {
      assert.equal(status, 0);
      assert.match(stdout, /Machine check/);
    },
  },
];
