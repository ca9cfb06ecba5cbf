import assert from "node:assert/strict";
import { Errno } from "../../ffi/errno.ts";
import { FLOOD, listing, SPIN } from "../guest_code.ts";
import { ended, paused } from "../inspected_vm.ts";
import { failsWith, MountedTree, onFuse } from "../mounted_tree.ts";
import { HvshHome } from "../run_hvsh.ts";
import { detached } from "../vm_home.ts";

/** Sets ax to 0x1234, says '!' and spins. */
const MARK = listing(`
  b8 34 12        mov ax, 0x1234
  ba f8 03        mov dx, 0x3f8
  b0 21           mov al, '!'
  ee              out dx, al
  eb fe           jmp $
`);
const FLAT_BASE = 0x7c00;

onFuse("ls -lR, find, cat and grep -r of a whole tree come to an end", async () => {
  await using home = new HvshHome();
  await detached(home, "web", FLOOD);
  {
    await using tree = await MountedTree.mount(home);
    const listed = await home.line("ls -lR tree");
    assert.deepEqual([listed.status, listed.stderr], [0, ""]);
    assert.match(listed.stdout, /^-rw------- +1 \S+ +\S+ +1048576 .* memory$/m);
    assert.match(listed.stdout, /^tree\/vms\/web\/vcpus\/0:$/m);
    const help = await home.line("find tree -type d | wc -l; find tree -name help | wc -l");
    const [folders, helps] = help.stdout.trim().split("\n");
    assert.equal(folders, helps, "there is help in each folder");
    const grep = await home.line("grep -rl 'state running' tree");
    assert.equal(grep.stdout, "tree/vms/web/status\n", grep.stderr);
    assert.ok(grep.status === 0 && grep.stderr === "", grep.stderr);
    assert.match(await tree.read("help"), /^vms +a folder for each VM$/m);
    assert.match(await tree.read("caps"), /^nr_vcpus \d+$/m);
  }
  await ended(home, "web");
});

onFuse(
  "ctl takes words and reads those that are valid; error_log points at a wrong one",
  async () => {
    await using home = new HvshHome();
    await detached(home, "web", SPIN);
    {
      await using tree = await MountedTree.mount(home);
      const running = ["pause", "reset", "stop", "kill", "nmi", "snapshot PATH", ""].join("\n");
      assert.equal(await tree.read("vms/web/ctl"), running);
      await tree.echo("pause", "vms/web/ctl");
      assert.match(await tree.read("vms/web/status"), /^state paused$/m);
      assert.match(await tree.read("vms/web/ctl"), /^resume\nstep \[N\]\nreset\n/);
      await tree.refuses("resume\npauze", "vms/web/ctl", Errno.EINVAL);
      assert.match(await tree.read("vms/web/status"), /^state paused$/m); // the first word neither
      await tree.refuses("pause", "vms/web/ctl", Errno.EINVAL);
      await tree.refuses("snapshot", "vms/web/ctl", Errno.EINVAL);
      const log = await tree.read("vms/web/error_log");
      assert.match(log, /^ctl: There is no word "pauze" \(did you mean pause\?\)\n +pauze\n +\^$/m);
      assert.match(log, /^ctl: Cannot pause a VM that is paused\n +pause\n +\^$/m);
      assert.match(log, /^ctl: "snapshot" needs PATH\n {3}snapshot\n {11}\^$/m);
      assert.match(await tree.read("error_log"), /^vms\/web\/ctl: There is no word/m);
      await tree.echo("resume", "vms/web/ctl");
      const line = await home.line("cd tree/vms/web && echo snapshot ../../../web.tar > ctl");
      assert.deepEqual([line.status, line.stderr], [0, ""]);
      assert.match((await home.line("tar tf web.tar")).stdout, /^vm\.json\n/);
      await tree.echo("kill", "vms/web/ctl");
      assert.equal(await tree.read("vms/web/status"), "state ended\nreason killed\nstatus 137\n");
      await Deno.remove(`${tree.path}/vms/web`);
      await failsWith(Deno.stat(`${tree.path}/vms/web`), Errno.ENOENT);
    }
  },
);

onFuse("registers are written all or none, and single steps go where they lead", async () => {
  await using home = new HvshHome();
  await paused(home, "web", MARK, "-m", "1M");
  {
    await using tree = await MountedTree.mount(home);
    const cpu = "vms/web/vcpus/0";
    assert.match(await tree.read(`${cpu}/regs`), /^rip 0x7c00$/m);
    await tree.echo("rbx=0x10 rcx=3", `${cpu}/regs`);
    assert.match(await tree.read(`${cpu}/regs`), /^rbx 0x10\nrcx 0x3$/m);
    await tree.refuses("rbx=5 raz=2", `${cpu}/regs`, Errno.EINVAL);
    await tree.refuses("rbx=5 rcx=x", `${cpu}/regs`, Errno.EINVAL);
    assert.match(await tree.read(`${cpu}/regs`), /^rbx 0x10\nrcx 0x3$/m);
    const log = await tree.read("vms/web/error_log");
    assert.match(log, /There is no register "raz".*\n {3}rbx=5 raz=2\n {9}\^\n/);
    assert.match(log, /"x" is not a register's value\n {3}rbx=5 rcx=x\n {13}\^\n/);
    // What a file reads can be written to it.
    const copy = await home.line(
      `cd tree/${cpu} && cat regs > ../../../../../saved && cat ../../../../../saved > regs`,
    );
    assert.deepEqual([copy.status, copy.stderr], [0, ""]);

    await tree.echo("2", `${cpu}/step`);
    assert.match(await tree.read(`${cpu}/step`), /^pc 0x7c06$/m);
    await tree.echo("step", "vms/web/ctl");
    assert.match(await tree.read(`${cpu}/regs`), /^rip 0x7c08$/m);
    await tree.refuses("-1", `${cpu}/step`, Errno.EINVAL);
    assert.match(await tree.read(`${cpu}/sregs`), /^cr0 0x/m);
    assert.match(await tree.read(`${cpu}/cpuid`), /^leaf 0x0 /m);
    assert.match(await tree.read(`${cpu}/msrs`), /^tsc 0x/m);
    assert.match(await tree.read(`${cpu}/fpu`), /^xmm0 0x/m);
    assert.match(await tree.read(`${cpu}/stats`), /^cpu_ns \d+$/m);
    await failsWith(Deno.stat(`${tree.path}/vms/web/vcpus/1`), Errno.ENOENT);
    // bash reads a byte at a time where it cannot seek back, and seeks back where it can.
    const read = await home.line(
      `cd tree/${cpu} && { read -r a; read -r b; echo "$a, $b"; } < regs`,
    );
    assert.match(read.stdout, /^rax 0x\w+, rbx 0x10\n$/);
  }
  await ended(home, "web");
});

onFuse("memory is a file to seek in, by physical and by linear addresses", async () => {
  await using home = new HvshHome();
  await paused(home, "web", MARK, "-m", "4M");
  {
    await using tree = await MountedTree.mount(home);
    const files = ["vms/web/memory", "vms/web/vcpus/0/vmem"];
    for (const path of files) {
      using file = await Deno.open(`${tree.path}/${path}`, { read: true, write: true });
      await file.seek(FLAT_BASE, Deno.SeekMode.Start);
      const bytes = new Uint8Array(MARK.length);
      assert.equal(await file.read(bytes), bytes.length);
      assert.deepEqual(bytes, MARK);
      await file.seek(0x5000, Deno.SeekMode.Start);
      await file.write(new TextEncoder().encode(path));
    }
    const dd = await home.line(
      "dd if=tree/vms/web/memory bs=1M of=all 2>&1; hvsh mem read web 0 4M | cmp - all",
    );
    assert.match(dd.stdout, /^4\+0 records out$/m);
    assert.equal(dd.status, 0);
    const dump = await home.line(
      "xxd -s 0x5000 -l 20 -p tree/vms/web/memory; hvsh mem read web 0x5000 20 | xxd -p",
    );
    const [here, there] = dump.stdout.trim().split("\n");
    assert.equal(here, there);
    assert.equal(here, new TextEncoder().encode(files[1]).toHex());
    assert.equal(await tree.read("vms/web/map"), "rwx wb 0x0 0x400000 ram 0x0\n");
    using file = await Deno.open(`${tree.path}/vms/web/memory`, { write: true });
    await file.seek(0x40_0000, Deno.SeekMode.Start);
    await failsWith(file.write(Uint8Array.of(1)), Errno.EIO);
    assert.match(
      await tree.read("vms/web/error_log"),
      /^memory: Guest-physical 0x400000 is not memory/m,
    );
  }
  await ended(home, "web");
});

onFuse("memory that is open shows what its VM has after a copy of that was made", async () => {
  await using home = new HvshHome();
  await paused(home, "web", MARK, "-m", "4M");
  const bytes = (text: string) => new TextEncoder().encode(text);
  const word = async (vm: string) => (await home.line(`hvsh mem read ${vm} 0x5000 3`)).stdout;
  {
    await using tree = await MountedTree.mount(home);
    using file = await Deno.open(`${tree.path}/vms/web/memory`, { read: true, write: true });
    const put = async (text: string) => {
      await file.seek(0x5000, Deno.SeekMode.Start);
      await file.write(bytes(text));
    };
    const get = async () => {
      await file.seek(0x5000, Deno.SeekMode.Start);
      const read = new Uint8Array(3);
      await file.read(read);
      return new TextDecoder().decode(read);
    };
    await put("one");
    assert.equal(await get(), "one");
    assert.equal((await home.run(["fork", "web", "-n", "copy"])).status, 0);
    await home.run(["mem", "write", "web", "0x5000"], bytes("two"));
    assert.deepEqual([await get(), await word("copy")], ["two", "one"]);
    await put("six");
    assert.deepEqual([await get(), await word("web"), await word("copy")], ["six", "six", "one"]);
    assert.equal((await home.run(["fork", "web", "-n", "late"])).status, 0);
    assert.equal(await word("late"), "six");
  }
  await ended(home, "web", "copy", "late");
});

onFuse(
  "a VM is made by mkdir, written, run, and destroyed by rmdir once it does not run",
  async () => {
    await using home = new HvshHome();
    home.write("spin.bin", SPIN);
    await using tree = await MountedTree.mount(home);
    const path = `${tree.path}/vms/web`;
    await Deno.mkdir(path);
    await failsWith(Deno.mkdir(path), Errno.EEXIST);
    await failsWith(Deno.mkdir(`${tree.path}/vms/a b`), Errno.EINVAL);
    assert.equal(await tree.read("vms/web/status"), "state draft\n");
    assert.equal(await tree.read("vms/web/ctl"), "run [paused]\n");
    const edit =
      `jq '.memory[0].size = 1048576 | .boot.flat.images = [{path: $p}]' --arg p "$PWD/spin.bin"`;
    const written = await home.line(
      `cd tree/vms/web && P=$OLDPWD && cd $P && ${edit} tree/vms/web/config.json > tree/vms/web/config.json`,
    );
    assert.deepEqual([written.status, written.stderr], [0, ""]);
    await tree.refuses('{"vm": 1,, }', "vms/web/config.json", Errno.EINVAL);
    await tree.refuses('{"vm": 1, "cpus": "x"}', "vms/web/config.json", Errno.EINVAL);
    const log = await tree.read("vms/web/error_log");
    assert.match(log, /^config\.json: It is not JSON\n {3}\{"vm": 1,, \}\n {12}\^$/m);
    assert.match(log, /^config\.json: .*cpus/m);
    // A document comes in pieces of any size, and is refused at close(2) only if its end is missing.
    const document = await tree.read("vms/web/config.json");
    {
      using file = await Deno.open(`${path}/config.json`, { write: true });
      for (const byte of new TextEncoder().encode(document)) await file.write(Uint8Array.of(byte));
    }
    assert.equal(await tree.read("vms/web/config.json"), document);
    const early = await home.line("printf '{\"vm\":1,' > tree/vms/web/config.json");
    assert.equal(early.status, 0); // sh does not look at close(2)
    assert.match(
      await tree.read("vms/web/error_log"),
      /The document ends too early\n {3}\{"vm":1,\n/,
    );
    assert.equal(JSON.parse(await tree.read("vms/web/config.json")).memory[0].size, 1048576);

    await tree.refuses("pause", "vms/web/ctl", Errno.EINVAL);
    await tree.echo("run paused", "vms/web/ctl");
    assert.match(await tree.read("vms/web/status"), /^state paused$/m);
    await failsWith(Deno.remove(path), Errno.EBUSY);
    await failsWith(tree.echo("{}", "vms/web/config.json"), Errno.EACCES);
    await tree.echo("resume\nkill", "vms/web/ctl");
    await Deno.remove(path);
    await failsWith(Deno.stat(path), Errno.ENOENT);
  },
);

onFuse("devices show what they are, count and hold, and take words", async () => {
  await using home = new HvshHome();
  home.write("disk.img", new Uint8Array(2 ** 20));
  await paused(home, "web", MARK, "-m", "4M", "--disk", "disk.img");
  {
    await using tree = await MountedTree.mount(home);
    const disk = "vms/web/devices/disk0";
    const texts = ["type", "path", "ro", "ctl"].map((name) => tree.read(`${disk}/${name}`));
    const wanted = ["disk\n", `${home.folder}/disk.img\n`, "0\n", "resize [SIZE]\n"];
    assert.deepEqual(await Promise.all(texts), wanted);
    assert.match(await tree.read(`${disk}/stats`), /^\w+ 0$/m);
    assert.equal(JSON.parse(await tree.read(`${disk}/state`)).name, "disk0");
    await Deno.truncate(`${home.folder}/disk.img`, 2 ** 21);
    await tree.echo("resize", `${disk}/ctl`);
    await tree.refuses("grow", `${disk}/ctl`, Errno.EINVAL);
    assert.match(
      await tree.read("vms/web/error_log"),
      /^devices\/disk0\/ctl: disk0 does not take that \(resize \[SIZE\]\)\n {3}grow\n {3}\^$/m,
    );
    await failsWith(Deno.stat(`${tree.path}/vms/web/devices/serial0/path`), Errno.ENOENT);
    const tar = await home.line("cat tree/vms/web/snapshot | tar xO dev/disk0.json | jq -r .type");
    assert.deepEqual([tar.stdout, tar.status], ["disk\n", 0]);
  }
  await ended(home, "web");
});
