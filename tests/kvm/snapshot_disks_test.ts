/** Streams that have their machine's disks inside. */
import assert from "node:assert/strict";
import { streamOf } from "../../commands/api/vm_stream.ts";
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { create } from "../../mod.ts";
import { Machine } from "../../vmm/machine.ts";
import { diskWriter, GATE, sectorsWritten } from "../disk_writer.ts";
import { flatDocument } from "../flat_machine.ts";
import { SPIN } from "../guest_code.ts";
import { filesBelow } from "../leaks.ts";
import { onKvm } from "../on_kvm.ts";
import { unwrittenPages } from "../page_cache.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached, records } from "../vm_home.ts";

/** Of which the guest writes the first ones; behind them is a hole, and then the image's own last sector. */
const SECTORS = 200;
const DISK_BYTES = 8 * 2 ** 20;

/** An image that is mostly a hole. */
function writeImage(path: string): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  file.truncateSync(DISK_BYTES);
  file.seekSync(DISK_BYTES - 512, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array(512).fill(0xee));
}

/** Starts a guest that writes its disk, and ends it in the middle of that with its state in a file. */
async function savedInTheMiddle(
  home: HvshHome,
  disk: Record<string, unknown>,
  output: string,
): Promise<void> {
  const path = `${home.folder}/disk`;
  writeImage(path);
  const document = diskWriter("vm0", { path, ...disk }, SECTORS, SECTORS / 2);
  records(await home.run(["run", "-d", "--paused"], JSON.stringify(document)));
  const watched = typeof disk.overlay === "string" ? disk.overlay : path;
  const before = Deno.statSync(watched).blocks;
  records(await home.run(["resume", "vm0"]));
  while (Deno.statSync(watched).blocks === before);
  const { status, stderr } = await home.run(["snapshot", "vm0", "--stop", "--disks", "-o", output]);
  assert.deepEqual([status, stderr], [0, ""]);
  assert.equal((await home.run(["wait", "vm0"])).status, 137);
}

/** Has a restored guest write its disk to the end. */
async function goesOn(home: HvshHome, name: string): Promise<void> {
  records(await home.run(["mem", "write", name, `0x${GATE.toString(16)}`], Uint8Array.of(1, 0)));
  assert.equal((await home.run(["wait", name])).status, 42);
}

/** Looks that a restored guest has its own copy to write. */
async function wroteAll(home: HvshHome, name: string, image: string): Promise<void> {
  await goesOn(home, name);
  const disk = Deno.readFileSync(image);
  assert.equal(disk.length, DISK_BYTES);
  assert.equal(sectorsWritten(disk), SECTORS);
  assert.ok(disk.subarray(SECTORS * 512, -512).every((byte) => byte === 0));
  assert.ok(disk.subarray(-512).every((byte) => byte === 0xee));
  assert.ok(Deno.statSync(image).blocks! * 512 < DISK_BYTES / 2, "it has its holes");
}

/** Much that storage does not have yet. */
function dirty(path: string): void {
  using file = Deno.openSync(path, { write: true });
  file.writeSync(new Uint8Array(DISK_BYTES / 2).fill(0xdd));
}

onKvm("when a state is taken storage has what disks have, and without that it is not", async () => {
  await using home = new HvshHome();
  const path = `${home.folder}/disk`;
  writeImage(path);
  const disk = { type: "disk", path };
  {
    await using vm = await create({ memory: "1M" }).flat(SPIN).device("disk", { path }).start();
    dirty(path);
    await Array.fromAsync(vm.snapshot());
    assert.equal(unwrittenPages(path) ?? 0, 0);
  }
  await using machine = await Machine.create(flatDocument(SPIN, {}, { devices: [disk] }));
  machine.start();
  const failure = new HostError("fdatasync", Errno.EIO, { path });
  machine.flushDisks = () => Promise.reject(failure);
  await assert.rejects(Array.fromAsync(streamOf(machine)), failure);
  assert.equal(machine.state, "running");
});

onKvm("a VM that is saved or moved by a verb leaves nothing of its disk in the cache", async () => {
  await using home = new HvshHome();
  const path = `${home.folder}/disk`;
  writeImage(path);
  await detached(home, "web", SPIN, "--disk", path);
  dirty(path);
  records(await home.run(["snapshot", "web", "-o", `${home.folder}/state.tar`]));
  assert.equal(unwrittenPages(path) ?? 0, 0);
  dirty(path);
  const moved = await home.run(["migrate", "web", "--", "hvsh", "restore", "--live", "-n", "b"]);
  assert.equal(moved.status, 0, moved.stderr);
  assert.equal(unwrittenPages(path) ?? 0, 0);
  await home.run(["kill", "b"]);
  await home.run(["wait", "web", "b"]);
});

function files(home: HvshHome): string[] {
  return filesBelow(home.folder).filter((name) => !name.startsWith("runtime"));
}

onKvm(
  "a guest in the middle of its disk's writes goes on over a copy from its stream",
  async () => {
    await using home = new HvshHome();
    await savedInTheMiddle(home, {}, "all.tar");
    const list = await home.line("tar tf all.tar");
    assert.match(list.stdout, /\ndisk\/disk0\/0x0000000000\n/);
    const original = Deno.readFileSync(`${home.folder}/disk`);
    Deno.removeSync(`${home.folder}/disk`);
    const restore = ["restore", "-d", "-n", "vm1", "--disks", "copy"];
    const [handle] = records(await home.run([...restore, "all.tar"]));
    assert.equal(handle!.state, "running");
    await wroteAll(home, "vm1", `${home.folder}/copy/disk0.img`);
    // What is there already stays, unless it is said otherwise.
    const again = await home.run([...restore, "all.tar"]);
    assert.equal(again.status, 125);
    assert.match(again.stderr, /disk0: \S*copy\/disk0\.img is there already\n.*--force/);
    const unpacked = `mkdir all && tar x -C all -f all.tar && hvsh ${
      restore.join(" ")
    } --force all`;
    records(await home.line(`${unpacked} && rm -r all`));
    await wroteAll(home, "vm1", `${home.folder}/copy/disk0.img`);
    Deno.writeFileSync(`${home.folder}/disk`, original);
    for (const [flags, amiss] of [["", "disk0"], ["--disks more", ""]]) {
      const why = `hvsh restore --explain ${flags} all.tar | jq -r 'select(.ok | not).part'`;
      assert.equal((await home.line(why)).stdout.trim(), amiss);
    }
    const none = await home.run(["restore", "-d", "all.tar"]);
    assert.equal(none.status, 125);
    assert.match(none.stderr, /The stream has disks inside: disk0\n.*--disks FOLDER/);
    records(await home.run(["restore", "-d", "-n", "vm1", "--set", "disk0.path=disk", "all.tar"]));
    await goesOn(home, "vm1");
    assert.deepEqual(files(home), ["all.tar", "copy", "copy/disk0.img", "disk"]);
  },
);

onKvm("an overlay is in the stream with its image, and so in a folder", async () => {
  await using home = new HvshHome();
  await savedInTheMiddle(home, { overlay: `${home.folder}/overlay` }, "all/");
  const image = Deno.readFileSync(`${home.folder}/disk`);
  assert.equal(sectorsWritten(image), 1); // it was never written
  for (const name of ["disk", "overlay"]) Deno.removeSync(`${home.folder}/${name}`);
  records(await home.run(["restore", "-d", "-n", "vm1", "--disks", "copy", "all"]));
  await wroteAll(home, "vm1", `${home.folder}/copy/disk0.img`);
});

onKvm("a stream whose disks are damaged, or have no room, leaves nothing of them", async () => {
  await using home = new HvshHome();
  await savedInTheMiddle(home, {}, "all.tar");
  const bytes = Deno.readFileSync(`${home.folder}/all.tar`);
  const name = new TextEncoder().encode("disk/disk0/0x0000000000\0");
  let at = 0;
  while (!name.every((byte, i) => bytes[at + i] === byte)) at += 512;
  const before = files(home);
  const cases: [Uint8Array<ArrayBuffer>, RegExp][] = [
    [bytes.slice(0, at + 1000), /The stream is cut off in disk\/disk0\/0x0000000000/],
    [bytes.with(at + 3000, bytes[at + 3000]! ^ 1), /disk\/disk0\/0x0000000000 has been changed/],
    [bytes.slice(0, -1024), /The stream is cut off|The stream ends/],
  ];
  for (const [stream, says] of cases) {
    const { status, stderr } = await home.run(["restore", "-d", "--disks", "copy"], stream);
    assert.equal(status, 125);
    assert.match(stderr, says);
    assert.deepEqual(files(home), before);
  }
  const full = await home.line(
    `unshare -m sh -c 'mkdir small && mount -t tmpfs -o size=64K none small;
     hvsh restore -d --disks small all.tar; echo $?; ls -A small'; rmdir small`,
  );
  assert.match(full.stderr, /^hvsh restore: \S*small\/disk0\.img: pwrite: .*\(ENOSPC\)/);
  assert.equal(full.stdout, "125\n");
  const limited = await home.line("ulimit -f 64; hvsh restore -d --disks copy all.tar");
  assert.equal(limited.status, 125);
  assert.match(limited.stderr, /copy\/disk0\.img: .*\(EFBIG\)/);
  assert.deepEqual(files(home), before);
});

onKvm("a disk that was there is there again when a restore over it fails", async () => {
  await using home = new HvshHome();
  await savedInTheMiddle(home, {}, "all.tar");
  Deno.mkdirSync(`${home.folder}/copy`);
  home.write("copy/disk0.img", "precious");
  const before = files(home);
  // The disks have come and have their places when the vCPU can't be made.
  const line = `mkdir all && tar x -C all -f all.tar && rm all/cpu/0.json &&
    hvsh restore -d -n vm1 --disks copy --force all; echo $?; rm -r all`;
  assert.equal((await home.line(line)).stdout, "125\n");
  assert.deepEqual(files(home), before);
  assert.equal(Deno.readTextFileSync(`${home.folder}/copy/disk0.img`), "precious");
  const restore = ["restore", "-d", "-n", "vm1", "--disks", "copy", "--force", "all.tar"];
  records(await home.run(restore));
  await wroteAll(home, "vm1", `${home.folder}/copy/disk0.img`);
  assert.deepEqual(files(home), before);
});
