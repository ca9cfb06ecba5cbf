/** Snapshots that fail, and what goes wrong around one: the VM goes on, and nothing is left behind. */
import assert from "node:assert/strict";
import { counted } from "../counting_lines.ts";
import { countsOn, end, ENOUGH, log, start, stopped } from "../counting_vm.ts";
import { filesBelow } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

/** More than pipes and a small disk hold, which no compression makes less. */
const FILLING = {
  memory: [{ type: "ram", size: 16 * 2 ** 20 }],
};
const FILLED = 4 * 2 ** 20;

/** Starts a guest that counts, with some MiB of memory that is not zero. */
async function startFilled(home: HvshHome, name: string, more: Record<string, unknown> = {}) {
  await start(home, "lines", name, { ...FILLING, ...more });
  const bytes = new Uint8Array(FILLED);
  for (let at = 0; at < bytes.length; at += 65536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65536));
  }
  const { status } = await home.run(["mem", "write", name, "0x400000"], bytes);
  assert.equal(status, 0);
}

const quiet = (status: number) => ({ status, stdout: "", stderr: "" });

onKvm("a snapshot's file is there once it is whole, and replaces one that was there", async () => {
  await using home = new HvshHome();
  await startFilled(home, "web");
  home.write("web.tar", "old");
  assert.deepEqual(await home.run(["snapshot", "web", "-o", "web.tar"]), quiet(0));
  const { mode, size } = Deno.statSync(`${home.folder}/web.tar`);
  assert.equal(mode! & 0o777, 0o600);
  assert.ok(size > FILLED && size % 512 === 0);
  assert.deepEqual(files(home), ["web.tar"]);
  const listed = await home.line("tar tf web.tar");
  assert.deepEqual([listed.status, listed.stderr], [0, ""]);
  const names = listed.stdout.trimEnd().split("\n");
  assert.deepEqual([names[0], names.at(-1)], ["vm.json", "end.json"]);
  for (const [path, code] of [["no/web.tar", "ENOENT"], [".", "EISDIR"]] as const) {
    const { status, stderr } = await home.run(["snapshot", "web", "-o", path]);
    assert.equal(status, 125);
    assert.match(stderr, new RegExp(`\\(${code}\\)`));
  }
  assert.deepEqual(files(home), ["web.tar"]);
  counted("lines", await end(home, "web"));
});

/** What a test's folder has, but for VMs' own. */
function files(home: HvshHome): string[] {
  return filesBelow(home.folder).filter((name) => !name.startsWith("runtime"));
}

onKvm(
  "a disk that has no room is told of, no half file bears the name, and the VM goes on",
  async () => {
    await using home = new HvshHome();
    await startFilled(home, "web");
    for (const stop of ["", "--stop "]) {
      const before = await log(home, "web");
      const full = await home.line(
        `unshare -m sh -c 'mkdir small && mount -t tmpfs -o size=1M none small && echo old >small/web.tar;
        hvsh snapshot web ${stop}-o small/web.tar; echo $?; ls -A small; cat small/web.tar'; rmdir small`,
      );
      assert.match(full.stderr, /^hvsh snapshot: \S*small\/web\.tar: write: .*\(ENOSPC\)/);
      assert.equal(full.stdout, "125\nweb.tar\nold\n");
      const device = await home.line(`hvsh snapshot web ${stop}> /dev/full`);
      assert.equal(device.status, 125);
      assert.match(device.stderr, /^hvsh snapshot: stdout: write: .*\(ENOSPC\)/);
      const limited = await home.line(`ulimit -f 2048; hvsh snapshot web ${stop}-o web.tar`);
      assert.equal(limited.status, 125);
      assert.match(limited.stderr, /web\.tar: write: .*\(EFBIG\)/);
      assert.deepEqual(files(home), []);
      await countsOn(home, "lines", "web", "");
      assert.ok((await log(home, "web")).startsWith(before));
    }
    counted("lines", await end(home, "web"));
  },
);

onKvm("a reader that goes away ends the snapshot with 141, and not the VM", async () => {
  await using home = new HvshHome();
  await startFilled(home, "web");
  for (const stop of ["", "--stop"]) {
    const line = `(hvsh snapshot web ${stop}; echo $? >status) | head -c 100000 | wc -c`;
    const { stdout, stderr } = await home.line(line);
    assert.deepEqual([stdout.trim(), stderr], ["100000", ""]);
    assert.equal(Deno.readTextFileSync(`${home.folder}/status`), "141\n");
    await countsOn(home, "lines", "web");
  }
  counted("lines", await end(home, "web"));
});

onKvm(
  "while its reader waits a VM stands; it goes on when the client of the snapshot is killed",
  async () => {
    await using home = new HvshHome();
    await startFilled(home, "web");
    await countsOn(home, "lines", "web");
    for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
      await using client = home.start(["snapshot", "web", "--stop"]);
      await client.until("vm.json"); // and no more: the pipe is full soon
      const held = await log(home, "web");
      assert.equal(await log(home, "web"), held);
      client.kill(signal);
      const { status } = await client.result();
      assert.equal(status, { SIGKILL: 137, SIGTERM: 143, SIGINT: 130 }[signal]);
      while ((await log(home, "web")).length < held.length + 9 * ENOUGH);
    }
    counted("lines", await end(home, "web"));
  },
);

onKvm("a paused VM stays paused, and so may the restored one", async () => {
  await using home = new HvshHome();
  await start(home, "ticks", "web");
  await countsOn(home, "ticks", "web");
  const [paused] = records(await home.run(["pause", "web"]));
  assert.equal(paused!.state, "paused");
  const first = await log(home, "web");
  const [copy] = records(await home.line("hvsh snapshot web | hvsh restore -d -n copy --paused"));
  assert.equal(copy!.state, "paused");
  assert.equal(records(await home.run(["list"]))[1]!.state, "paused");
  assert.equal(await log(home, "web"), first);
  assert.equal(await log(home, "copy"), "");
  records(await home.run(["resume", "copy"]));
  await countsOn(home, "ticks", "copy", first);
  records(await home.run(["resume", "web"]));
  await countsOn(home, "ticks", "web");
  counted("ticks", first + await end(home, "copy"));
  counted("ticks", await end(home, "web"));
});

onKvm("a VM that is told to end while it is held ends, and its snapshot says so", async () => {
  await using home = new HvshHome();
  await startFilled(home, "web");
  await using client = home.start(["snapshot", "web"]);
  await client.until("vm.json");
  const text = await end(home, "web");
  const { status, stderr } = await client.result();
  assert.equal(status, 125);
  assert.match(stderr, /^hvsh snapshot: /);
  counted("lines", text);
});

onKvm(
  "a stream that was cut off or changed on its way is refused, and nothing is left",
  async () => {
    await using home = new HvshHome();
    await start(home, "lines", "web");
    await countsOn(home, "lines", "web");
    assert.equal((await home.run(["snapshot", "web", "--stop", "-o", "web.tar"])).status, 0);
    const first = await stopped(home, "web");
    const stream = Deno.readFileSync(`${home.folder}/web.tar`);
    const { length } = stream;
    const changed = stream.slice();
    changed[(length >> 10) << 9]! ^= 0x10;
    const cases: [Uint8Array<ArrayBuffer>, RegExp][] = [
      [stream.slice(0, 0), /No VM|cut off before its first record/],
      [stream.slice(0, 511), /cut off before its first record/],
      [stream.slice(0, 600), /cut off in vm\.json/],
      [stream.slice(0, length - 1), /cut off after end\.json/],
      [stream.slice(0, length - 1024), /cut off after end\.json/],
      [stream.slice(0, length - 2048), /cut off /],
      [changed, /hvsh restore: (\S+ has been changed: |What follows \S+ is no header)/],
    ];
    for (const [bytes, says] of cases) {
      home.write("bad.tar", bytes);
      for (
        const line of [
          "hvsh restore -d bad.tar",
          "cat bad.tar | hvsh restore -d",
          "hvsh restore bad.tar",
        ]
      ) {
        const { status, stdout, stderr } = await home.line(line);
        assert.deepEqual([status, stdout], [125, ""], line);
        assert.match(stderr, says, line);
        assert.doesNotMatch(stderr, /TypeError|RangeError|\.ts:/);
      }
      assert.deepEqual(records(await home.run(["list"])), []);
    }
    const [handle] = records(await home.run(["restore", "-d", "web.tar"]));
    assert.equal(handle!.live, "web");
    counted("lines", first + await end(home, "web"));
  },
);

onKvm("what is no stream is told apart, with what to do", async () => {
  await using home = new HvshHome();
  const big = new Uint8Array(1000);
  const magic = (...bytes: number[]) => (big.fill(0x20).set(bytes), big.slice());
  home.write("zst", magic(0x28, 0xb5, 0x2f, 0xfd));
  home.write("gz", magic(0x1f, 0x8b));
  home.write("vm.json", '{"vm":1}');
  home.write("text", "hello\n".repeat(200));
  const cases: [string, RegExp][] = [
    ["zst", /is compressed with zstd.*\n.*zstd -d/],
    ["gz", /is compressed with gzip/],
    ["vm.json", /is a VM document/],
    ["text", /is no header of a tar archive/],
    ["nothing", /nothing: open: .*\(ENOENT\)/],
    ["runtime", /runtime has no vm\.json/],
  ];
  for (const [path, says] of cases) {
    for (const flags of [[], ["-d"]]) {
      const { status, stdout, stderr } = await home.run(["restore", ...flags, path]);
      assert.deepEqual([status, stdout], [125, ""], path);
      assert.match(stderr, says);
    }
  }
});

onKvm("a name that a live VM has is refused, before a file is read to its end", async () => {
  await using home = new HvshHome();
  await start(home, "lines", "web");
  assert.equal((await home.run(["snapshot", "web", "-o", "web.tar"])).status, 0);
  home.write("cut.tar", Deno.readFileSync(`${home.folder}/web.tar`).slice(0, -2048));
  const lines = [
    "hvsh restore -d cut.tar",
    "hvsh restore cut.tar",
    "hvsh restore -d -n web cut.tar",
    "hvsh restore -d < web.tar",
    "hvsh snapshot web | hvsh restore -d",
  ];
  for (const line of lines) {
    const { status, stdout, stderr } = await home.line(line);
    assert.deepEqual([status, stdout], [125, ""], line);
    assert.match(stderr, /There is a live VM named "web" already/, line);
  }
  assert.equal(records(await home.run(["list"])).length, 1);
  counted("lines", await end(home, "web"));
});
