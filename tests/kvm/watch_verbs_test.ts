import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { spawn } from "@lydell/node-pty";
import { connect, type TracedExit } from "../../mod.ts";
import { EIGHTY_WRITES, listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome, type HvshResult } from "../run_hvsh.ts";

const DEADLINE = 180_000;
/** Reads the line status register and writes it there, for ever. Real mode. */
const SERIAL = listing(`
  ba fd 03              mov dx, 0x3fd
  ec                    in al, dx             ; again:
  ee                    out dx, al
  eb fc                 jmp again
`);

/** The objects that a verb printed, after looking that it did well. */
function records({ status, stdout, stderr }: HvshResult) {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Starts a detached VM, and ends it. */
async function withVm(
  home: HvshHome,
  name: string,
  code: Uint8Array,
  work: () => Promise<void>,
  ...flags: string[]
): Promise<void> {
  const path = home.write(`${name}.bin`, code);
  records(await home.run(["run", "-d", "-n", name, ...flags, "--flat", path]));
  try {
    await work();
  } finally {
    await home.run(["kill", name]);
    await home.run(["wait", name]);
  }
}

onKvm("trace prints a guest's exits from where it stands until it ends", async () => {
  await using home = new HvshHome();
  await withVm(home, "web", EIGHTY_WRITES, async () => {
    await using trace = home.start(["trace", "web", "-o", "table"]);
    await trace.until("TOOK\n");
    await home.run(["resume", "web"]);
    const { stdout, status } = await trace.result();
    assert.equal(status, 0);
    assert.equal(stdout.match(/ io +0x300 +out 1 /g)?.length, 80);
    assert.match(stdout, / hlt [^\n]*\n$/);
  }, "--paused");
});

onKvm("exits of a VM are counted by reason in a pipeline", async () => {
  await using home = new HvshHome();
  await withVm(home, "web", SERIAL, async () => {
    const line = "hvsh trace web -t 0.5 | jq -r .reason | sort | uniq -c | sort -rn";
    const { stdout, stderr, status } = await home.line(line);
    assert.deepEqual([stderr, status], ["", 0]);
    assert.match(stdout, /^ +\d+ io\n/);
  });
});

onKvm("trace filters, and ends after so many or so long", async () => {
  await using home = new HvshHome();
  await withVm(home, "web", SERIAL, async () => {
    const some = records(
      await home.run(["trace", "web", "--reason", "io,mmio", "--device", "serial0", "-n", "7"]),
    );
    assert.deepEqual(
      some.map(({ live, reason, port, size, device }) => ({ live, reason, port, size, device })),
      Array(7).fill({ live: "web", reason: "io", port: "0x3fd", size: 1, device: "serial0" }),
    );
    const none = await home.run(["trace", "web", "--reason", "KVM_EXIT_MMIO", "-t", "0.2"]);
    assert.deepEqual(records(none), []);
    const lines = await home.run(["trace", "web", "-n", "3", "-r", "io", "-o", "table"]);
    assert.match(lines.stdout, /^VM .*TOOK\n(web .* io .* 0x3fd .* us\n){3}$/);
    for (const flags of [["--reason", "foo"], ["--port", "no"]]) {
      assert.equal((await home.run(["trace", "web", ...flags])).status, 2);
    }
    const wrong = await home.run(["trace", "web", "--device", "seriall0"]);
    assert.equal(wrong.status, 125);
    assert.match(wrong.stderr, /There is no device "seriall0"\n {2}try: did you mean serial0\?/);
  });
});

onKvm("perf names the function that a guest spins in, in every form", async () => {
  await using home = new HvshHome();
  home.write("symbols", "0000000000007c00 T spin\n0000000000007c02 T other\n");
  await withVm(home, "web", SPIN, async () => {
    const perf = (...flags: string[]) =>
      home.run(["perf", "web", "-F", "500", "-t", "0.5", "--symbols", "symbols", ...flags]);
    const [hot] = records(await perf());
    assert.deepEqual([hot.live, hot.mode, hot.function], ["web", "kernel", "spin"]);
    assert.ok(hot.percent >= 95 && hot.samples > 0);
    assert.match((await perf("--folded")).stdout, /^spin \d+\n/);
    assert.match((await perf("--svg")).stdout, /^<svg [^]*<title>spin: \d+ samples[^]*<\/svg>\n$/);
    const { stdout } = await perf("--pprof");
    const bytes = gunzipSync(Uint8Array.from(stdout, (c) => c.charCodeAt(0)));
    assert.ok(bytes.includes(Buffer.from("spin")));
    assert.match((await perf("-o", "table")).stdout, /^PERCENT +SAMPLES +MODE +FUNCTION\n.*spin\n/);
    assert.equal((await perf("--svg", "--folded")).status, 2);
    assert.equal((await home.run(["perf", "web", "-F", "5000"])).status, 2);
  });
});

onKvm("stat prints every part, and what happened in each interval", async () => {
  await using home = new HvshHome();
  await withVm(home, "web", SERIAL, async () => {
    const all = records(await home.run(["stat", "web", "-i", "0.2", "-n", "3"]));
    const vcpu = all.filter((record) => record.vcpu === 0);
    assert.equal(vcpu.length, 3);
    assert.equal(all.filter((record) => record.kvm === "vm").length, 3);
    for (const { exits, seconds } of vcpu.slice(1)) assert.ok(exits > 0 && seconds >= 0.2);
    const { stdout } = await home.run(["stat", "web", "-o", "table"]);
    assert.match(stdout, /^VM +PART +FIGURE +VALUE\n[^]*web +vcpu 0 +exits +\d+\n/);
  });
});

onKvm("a program watches a VM of another process", async () => {
  await using home = new HvshHome();
  const before = Deno.env.get("XDG_RUNTIME_DIR");
  Deno.env.set("XDG_RUNTIME_DIR", home.runtime);
  try {
    await withVm(home, "web", SERIAL, async () => {
      using vm = await connect("web");
      const exits: TracedExit[] = [];
      for await (const exit of vm.watch.exits({ reasons: ["io"], count: 3 })) exits.push(exit);
      assert.deepEqual(exits.map(({ port, device }) => [port, device]), [
        ...Array(3).fill([0x3fd, "serial0"]),
      ]);
      let samples = 0;
      for await (const { frames } of vm.watch.samples({ frequency: 500 })) {
        assert.ok(frames[0]! >= 0x7c00n && frames[0]! < 0x7c06n);
        if (++samples === 5) break;
      }
      const looks: unknown[] = [];
      for await (const records of vm.watch.figures({ interval: 0.05 })) {
        looks.push(records.find(({ part }) => part === "vcpu")!.figures.exits);
        if (looks.length === 2) break;
      }
      assert.ok(looks.every((exits) => (exits as number) > 0));
      await assert.rejects(vm.watch.exits({ device: "x" }).next(), /There is no device "x"/);
    });
  } finally {
    if (before === undefined) Deno.env.delete("XDG_RUNTIME_DIR");
    else Deno.env.set("XDG_RUNTIME_DIR", before);
  }
});

onKvm("top prints a record for each VM where no person looks", async () => {
  await using home = new HvshHome();
  assert.deepEqual(records(await home.run(["top", "-i", "0.01"])), []);
  await withVm(home, "one", SPIN, async () => {
    await withVm(home, "two", SPIN, async () => {
      await home.run(["pause", "two"]);
      const seen = records(await home.run(["top", "-i", "0.3"]));
      assert.deepEqual(seen.map(({ live, state }) => [live, state]), [
        ["one", "running"],
        ["two", "paused"],
      ]);
      const [one, two] = seen;
      assert.ok(one.cpu_percent > 0 && one.exits > 0 && one.resident > 0);
      assert.deepEqual([two.cpu_percent, two.exits, two.memory], [0, 0, 256 * 2 ** 20]);
      assert.equal(records(await home.run(["top", "-n", "2", "-i", "0.01", "one"])).length, 2);
    });
  });
});

/** Runs top on a terminal, does something to it, and gives what was shown and the terminal's modes. */
async function onTerminal(home: HvshHome, act: (pty: ReturnType<typeof spawn>) => void) {
  const hvsh = new URL("../../scripts/hvsh", import.meta.url).pathname;
  const line = `"${hvsh}" top -i 0.05; echo "ended $?"; stty -a`;
  const env = { TERM: "xterm", XDG_RUNTIME_DIR: home.runtime, HVSH_DENO: Deno.execPath() };
  const pty = spawn("sh", ["-c", line], {
    cols: 100,
    rows: 20,
    cwd: home.folder,
    env: { ...Deno.env.toObject(), ...env },
  });
  const deadline = setTimeout(() => pty.kill("SIGKILL"), DEADLINE);
  let shown = "";
  let acted = false;
  pty.onData((text) => {
    shown += text;
    if (!acted && shown.includes("web ")) {
      acted = true;
      act(pty);
    }
  });
  await new Promise<void>((resolve) => pty.onExit(() => resolve()));
  clearTimeout(deadline);
  return shown;
}

onKvm("top on a terminal draws a table and leaves it as it was, by q, ^C or a signal", async () => {
  await using home = new HvshHome();
  await withVm(home, "web", SPIN, async () => {
    const terminate = () => {
      for (const { name } of Deno.readDirSync("/proc")) {
        if (!/^\d+$/.test(name)) continue;
        try {
          const command = Deno.readTextFileSync(`/proc/${name}/cmdline`).split("\0");
          const environment = Deno.readTextFileSync(`/proc/${name}/environ`);
          const ours = environment.includes(`XDG_RUNTIME_DIR=${home.runtime}\0`);
          if (ours && command.includes("top") && !command.includes("-c")) {
            Deno.kill(Number(name), "SIGTERM");
          }
        } catch {
          // It has ended, or is another user's.
        }
      }
    };
    const ways = [
      [(pty: ReturnType<typeof spawn>) => pty.write("q"), 0],
      [(pty: ReturnType<typeof spawn>) => pty.write("\x03"), 0],
      [terminate, 143],
    ] as const;
    for (const [act, status] of ways) {
      const shown = await onTerminal(home, act);
      const [before, after] = shown.split("\x1b[?25h\x1b[?1049l");
      assert.ok(before!.includes("\x1b[?1049h\x1b[?25l"), shown);
      assert.match(before!, /hvsh top - .* VMs: 1, [^]*VM +%CPU\* +STATE [^]*web +[\d.]+ +running/);
      assert.match(after!, new RegExp(`^ended ${status}\r\n`));
      assert.match(after!, / icanon | icanon$/m);
      assert.match(after!, /(?<!-)\becho\b/);
    }
  });
});
