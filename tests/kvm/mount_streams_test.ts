import assert from "node:assert/strict";
import { Errno } from "../../ffi/errno.ts";
import { Epoll, EpollEvent } from "../../ffi/epoll.ts";
import { O } from "../../ffi/file_structs.ts";
import { closeFile, openFile } from "../../ffi/files.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { ECHO, FLOOD, SPIN } from "../guest_code.ts";
import { ended, paused } from "../inspected_vm.ts";
import { failsWith, MountedTree, onFuse } from "../mounted_tree.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

const DEADLINE = 180_000;
const LOOK_MILLISECONDS = 100;

onFuse("events end for cat, go on for tail -f, and wait for <>, for many at a time", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "-m", "1M");
  {
    await using tree = await MountedTree.mount(home);
    const before = await tree.read("vms/web/events");
    assert.deepEqual(
      before.trimEnd().split("\n").map((line) => JSON.parse(line).kind).at(-1),
      "paused",
    );
    await using tail = home.startLine("exec tail -n +1 -f tree/vms/web/events");
    await using first = home.startLine("exec cat <> tree/vms/web/events");
    await using second = home.startLine("exec cat <> tree/vms/web/events");
    for (const reader of [tail, first, second]) await reader.until(before);
    // They wait, and keep nobody else from anything.
    await tree.echo("resume", "vms/web/ctl");
    for (const reader of [tail, first, second]) await reader.until('"running"}\n');
    first.kill("SIGTERM"); // which a reader that waits hears at once
    assert.equal((await first.result()).status, 143);
    await tree.echo("kill", "vms/web/ctl");
    const { status, stdout } = await second.result();
    assert.equal(status, 0); // the VM's end is the end of its events
    assert.match(stdout, /"kind":"ended".*\n$/);
    await tail.until('"ended"');
    tail.kill("SIGTERM");
    await tail.result();
  }
  await home.run(["wait", "web"]);
});

onFuse("poll(2) of events is woken when there is one", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "-m", "1M");
  {
    await using tree = await MountedTree.mount(home);
    const fd = openFile(`${tree.path}/vms/web/events`, O.O_RDWR | O.O_NONBLOCK);
    try {
      using epoll = new Epoll();
      epoll.add(fd, EpollEvent.IN);
      await readable(epoll);
      const bytes = new Uint8Array(65536);
      while (libc.read(fd, bytes, BigInt(bytes.length)) > 0n);
      assert.equal(errno(), Errno.EAGAIN);
      assert.equal(epoll.wait(0, () => {}), 0);
      await tree.echo("resume", "vms/web/ctl");
      await readable(epoll);
      const count = Number(libc.read(fd, bytes, BigInt(bytes.length)));
      assert.match(new TextDecoder().decode(bytes.subarray(0, count)), /"running"}\n$/);
    } finally {
      closeFile(fd);
    }
  }
  await ended(home, "web");
});

/** Reads until that fails. */
async function readForEver(file: Deno.FsFile): Promise<void> {
  const end = performance.now() + DEADLINE;
  while (performance.now() < end) await file.read(new Uint8Array(16));
}

/** Waits until a descriptor is readable, with this process free to do other things. */
async function readable(epoll: Epoll): Promise<void> {
  const end = performance.now() + DEADLINE;
  while (epoll.wait(LOOK_MILLISECONDS, () => {}) === 0) {
    assert.ok(performance.now() < end, "nobody is woken");
    await new Promise((resolve) => setTimeout(resolve));
  }
}

onFuse("console goes both ways, and console.log keeps what it said", async () => {
  await using home = new HvshHome();
  await detached(home, "web", ECHO);
  {
    await using tree = await MountedTree.mount(home);
    await using reader = home.startLine("{ echo open; exec cat; } <> tree/vms/web/console");
    await reader.until("open\n"); // it hears all from then on
    await Deno.writeTextFile(`${tree.path}/vms/web/console`, "oh, ", { create: false });
    await reader.until("oh, ");
    await using tail = home.startLine("exec tail -f tree/vms/web/console.log");
    await tail.until("oh, ");
    await tree.echo("hello", "vms/web/console");
    await reader.until("hello\n");
    assert.equal((await reader.result()).status, 0); // the line has ended the guest
    assert.match(await tree.says("vms/web/console.log", /hello\n$/), /^oh, hello\n$/);
    tail.kill("SIGTERM");
    await tail.result();
    assert.equal(await tree.read("vms/web/status"), "state ended\nreason exit\nstatus 7\n");
    await Deno.remove(`${tree.path}/vms/web`);
  }
});

onFuse("exits come as long as somebody reads, and cat of them ends", async () => {
  await using home = new HvshHome();
  await detached(home, "web", FLOOD);
  {
    await using tree = await MountedTree.mount(home);
    const exits = (await tree.read("vms/web/exits")).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.ok(exits.some(({ reason, port }) => reason === "io" && port === "0x3f8"));
    await using reader = home.startLine("exec cat <> tree/vms/web/exits");
    await reader.until('"io"');
    reader.kill("SIGTERM");
    await reader.result();
    assert.match(await tree.read("vms/web/stats"), /^\w+ \d+$/m);
  }
  await ended(home, "web");
});

onFuse("after kill -9 of its owner a VM's files fail, and its folder is gone", async () => {
  await using home = new HvshHome();
  const { pid } = await detached(home, "web", SPIN);
  await using tree = await MountedTree.mount(home);
  const vm = `${tree.path}/vms/web`;
  using memory = await Deno.open(`${vm}/memory`);
  using regs = await Deno.open(`${vm}/vcpus/0/regs`);
  using ctl = await Deno.open(`${vm}/ctl`, { write: true });
  assert.equal(await memory.read(new Uint8Array(16)), 16);
  await using reader = home.startLine("exec cat <> tree/vms/web/events");
  await reader.until("running");
  Deno.kill(pid, "SIGKILL");
  const { status, stderr } = await reader.result();
  assert.equal(status, 1);
  assert.match(stderr, /No such process/);
  // Its end is told by its connection, which this one need not hear first.
  await failsWith(readForEver(memory), Errno.ESRCH);
  await failsWith(regs.read(new Uint8Array(16)), Errno.ESRCH);
  await failsWith(ctl.write(new TextEncoder().encode("pause")), Errno.ESRCH);
  await failsWith(Deno.stat(vm), Errno.ENOENT);
  assert.match(await tree.read("error_log"), /^vms\/web\/ctl: /m);
});

onFuse("after kill -9 of the mounter nobody hangs, and the next one takes its place", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "-m", "1M");
  const dead = await MountedTree.mount(home);
  await using waiting = home.startLine("exec cat <> tree/vms/web/events");
  await using tail = home.startLine("exec tail -f tree/vms/web/events");
  for (const reader of [waiting, tail]) await reader.until("paused");
  dead.server.kill("SIGKILL");
  assert.equal((await waiting.result()).status, 1);
  assert.equal((await dead.server.result()).status, 137);
  tail.kill("SIGTERM");
  await tail.result();
  await failsWith(Deno.stat(`${dead.path}/vms`), Errno.ENOTCONN);
  {
    await using tree = await MountedTree.mount(home);
    assert.match(await tree.read("vms/web/status"), /^state paused$/m);
  }
  await ended(home, "web");
});

onFuse("mount -d serves until --unmount; what can't be mounted is said", async () => {
  await using home = new HvshHome();
  Deno.mkdirSync(`${home.folder}/tree`);
  const mounted = await home.run(["mount", "-d", "tree"]);
  assert.deepEqual([mounted.status, mounted.stderr], [0, ""]);
  const { pid } = JSON.parse(mounted.stdout);
  assert.ok(home.processes().some((process) => process.pid === pid));
  assert.match((await home.line("cat tree/help")).stdout, /^vms +/m);
  const twice = await home.run(["mount", "tree"]);
  assert.equal(twice.status, 125);
  assert.match(
    twice.stderr,
    /a tree of hvsh is mounted there already\n {2}try: hvsh mount --unmount/,
  );
  const later = await home.run(["mount", "-d", "tree"]);
  assert.equal(later.status, 125);
  assert.equal(later.stderr, twice.stderr);
  // An open file does not keep the process: it is gone with it.
  await using held = home.startLine("exec 3< tree/help; echo open; read -r _ <&0; cat <&3", "open");
  await held.until("open\n");
  assert.equal((await home.run(["mount", "--unmount", "tree"])).status, 0);
  await held.closeInput();
  await held.result();
  await home.empty();
  assert.deepEqual([...Deno.readDirSync(`${home.folder}/tree`)], []);
  const gone = await home.run(["mount", "-u", "tree"]);
  assert.match(gone.stderr, /no tree of hvsh is mounted there/);
  const none = await home.run(["mount", "nowhere"]);
  assert.match(none.stderr, /nowhere: there is no such folder\n {2}try: mkdir -p /);
});
