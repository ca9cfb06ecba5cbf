/** Snapshots that were unpacked, edited, packed again, or given what differs by the way. */
import assert from "node:assert/strict";
import type { Json } from "../../ffi/struct.ts";
import { counted, countingGuest } from "../counting_lines.ts";
import { countsOn, end, log, start, stopped } from "../counting_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";
import { records } from "../vm_home.ts";

const MAC = "52:54:00:aa:bb:cc";
const OTHER_MAC = "52:54:00:dd:ee:ff";
const RAM = 4 * 2 ** 20;

type Document = { [key: string]: Json } & {
  devices: { [key: string]: Json }[];
  state: { [key: string]: Json };
};

/** A socket whose peer takes every frame and says nothing. */
class Sink implements AsyncDisposable {
  readonly #listener: Deno.UnixListener;
  readonly #done: Promise<void>;
  constructor(readonly path: string) {
    this.#listener = Deno.listen({ transport: "unix", path });
    this.#done = this.#serve();
  }
  async #serve(): Promise<void> {
    const peers: Promise<void>[] = [];
    try {
      for await (const peer of this.#listener) {
        peers.push(peer.readable.pipeTo(new WritableStream()).catch(() => {}));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await Promise.all(peers);
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#done;
  }
}

const json = (path: string) => JSON.parse(Deno.readTextFileSync(path));

/** Edits a record of an unpacked stream. */
function edit<T>(path: string, change: (record: T) => void): void {
  const record = json(path);
  change(record);
  Deno.writeTextFileSync(path, JSON.stringify(record, undefined, 1));
}

/** A snapshot's records as they are now. */
async function unpacked(home: HvshHome, name: string, folder: string): Promise<string> {
  const line = `mkdir ${folder} && hvsh snapshot ${name} | tar x -C ${folder}`;
  const { status, stderr } = await home.line(line);
  assert.deepEqual([status, stderr], [0, ""]);
  return `${home.folder}/${folder}`;
}

onKvm("a MAC is edited by the way, in the folder, in the archive and by a flag", async () => {
  await using home = new HvshHome();
  await using sink = new Sink(`${home.folder}/net`);
  const backend = `unix:${sink.path}`;
  const devices = [{ type: "serial" }, { type: "net", name: "net0", backend, mac: MAC }];
  await start(home, "lines", "vm0", { devices });
  await countsOn(home, "lines", "vm0");
  const line = "mkdir vm && hvsh snapshot vm0 --stop | tee vm.tar | tar x -C vm";
  assert.deepEqual(await home.line(line), { status: 0, stdout: "", stderr: "" });
  const first = await stopped(home, "vm0");
  const folder = `${home.folder}/vm`;
  edit<Document>(`${folder}/vm.json`, ({ devices }) => {
    devices.find(({ name }) => name === "net0")!.mac = OTHER_MAC;
  });
  edit<{ state: { mac: string } }>(`${folder}/dev/net0.json`, ({ state }) => {
    assert.equal(state.mac, MAC);
    state.mac = OTHER_MAC;
  });
  const order = "vm.json mem cpu dev board.json end.json";
  const ways = [
    "hvsh restore -d -n vm1 vm",
    `tar c -C vm ${order} | hvsh restore -d -n vm2 --edited`,
    `tar c -C vm ${order} >packed.tar; hvsh restore -d -n vm3 --edited packed.tar`,
    `hvsh restore -d -n vm4 --set net0.mac=${OTHER_MAC} vm.tar`,
    `hvsh restore -d -n vm5 --set net0.mac=${OTHER_MAC} <vm.tar`,
  ];
  for (const [i, way] of ways.entries()) {
    const name = `vm${i + 1}`;
    const restored = await home.line(way);
    assert.equal(records(restored)[0]!.live, name, way);
    await countsOn(home, "lines", name, first);
    const again = await unpacked(home, name, `again${i}`);
    assert.equal(json(`${again}/dev/net0.json`).state.mac, OTHER_MAC, way);
    const net = (json(`${again}/vm.json`) as Document).devices.find(({ name }) => name === "net0");
    assert.equal(net!.mac, OTHER_MAC, way);
    counted("lines", first + await end(home, name));
  }
  const refused = await home.line(`tar c -C vm ${order} | hvsh restore -d`);
  assert.equal(refused.status, 125);
  assert.match(refused.stderr, /vm\.json has no CRC: another program has written it/);
  const unordered = await home.line("tar c -C vm mem vm.json | hvsh restore -d --edited");
  assert.match(unordered.stderr, /mem\/ram0\/0x[0-9a-f]+ comes before vm\.json\n.*tar c vm\.json/);
  for (const set of ["net1.mac=x", "net0.mac=x", "net0.mac=01:00:00:00:00:00"]) {
    const { status, stderr } = await home.run(["restore", "-d", "--set", set, "vm.tar"]);
    assert.equal(status, 125, set);
    assert.match(stderr, /net[01]/);
  }
});

onKvm("registers and memory of an unpacked stream are what its files say", async () => {
  await using home = new HvshHome();
  await start(home, "lines", "vm0");
  await countsOn(home, "lines", "vm0");
  records(await home.run(["pause", "vm0"]));
  const folder = await unpacked(home, "vm0", "vm");
  await end(home, "vm0");
  // The counter is in EBX, and in memory.
  edit<{ regs: { rbx: string } }>(`${folder}/cpu/0.json`, ({ regs }) => {
    assert.ok(BigInt(regs.rbx) > 0n);
    regs.rbx = "0xabcd0";
  });
  const chunk = Deno.readFileSync(`${folder}/mem/ram0/0x0000010000`);
  assert.equal(chunk.length, 65536);
  new DataView(chunk.buffer).setUint32(0, 0xabcd0, true);
  Deno.writeFileSync(`${folder}/mem/ram0/0x0000010000`, chunk);
  records(await home.run(["restore", "-d", "vm"]));
  while (!(await log(home, "vm0")).includes("000abcd8\n"));
  const lines = (await end(home, "vm0")).split("\n").slice(2, -1); // the first was begun before
  lines.forEach((line, i) => assert.equal(parseInt(line, 16), parseInt(lines[0]!, 16) + i));
});

/** A region's records as one file. */
function whole(folder: string, region: string, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (const { name } of Deno.readDirSync(`${folder}/mem/${region}`)) {
    bytes.set(Deno.readFileSync(`${folder}/mem/${region}/${name}`), parseInt(name, 16));
  }
  return bytes;
}

onKvm(
  "memory that is one file is mapped, stays as it is, and must be as long as its region",
  async () => {
    await using home = new HvshHome();
    await start(home, "lines", "vm0");
    await countsOn(home, "lines", "vm0");
    records(await home.run(["pause", "vm0"]));
    const folder = await unpacked(home, "vm0", "vm");
    const first = await end(home, "vm0");
    const memory = whole(folder, "ram0", RAM);
    const place = `${folder}/mem/ram0`;
    Deno.removeSync(place, { recursive: true });
    const put = (bytes: Uint8Array) => Deno.writeFileSync(place, bytes);
    const refused = async (says: RegExp) => {
      const { status, stdout, stderr } = await home.run(["restore", "-d", "vm"]);
      assert.deepEqual([status, stdout], [125, ""]);
      assert.match(stderr, says);
    };
    put(memory.subarray(0, RAM - 1));
    await refused(/mem\/ram0 has 4194303 bytes, but its region 4194304/);
    put(new Uint8Array(RAM + 1));
    await refused(/mem\/ram0 has 4194305 bytes, but its region 4194304/);
    put(new Uint8Array(0));
    await refused(/mem\/ram0 has 0 bytes/);
    Deno.removeSync(place);
    Deno.symlinkSync("/etc/passwd", place);
    await refused(/mem\/ram0 is a symbolic link/);
    Deno.removeSync(place);
    put(memory);
    Deno.writeFileSync(`${folder}/mem/ram7`, memory);
    await refused(/mem\/ram7 is of no region/);
    Deno.removeSync(`${folder}/mem/ram7`);
    // Two at a time, from the same file.
    for (const name of ["vm1", "vm2"]) records(await home.run(["restore", "-d", "-n", name, "vm"]));
    for (const name of ["vm1", "vm2"]) await countsOn(home, "lines", name, first);
    // And from what is mapped another snapshot is taken.
    records(await home.line("hvsh snapshot vm1 --stop | hvsh restore -d -n vm3"));
    const second = first + await stopped(home, "vm1");
    await countsOn(home, "lines", "vm3", second);
    counted("lines", first + await end(home, "vm2"));
    counted("lines", second + await end(home, "vm3"));
    assert.deepEqual(Deno.readFileSync(place), memory);
  },
);

onKvm("a folder that lacks a record is refused by its name", async () => {
  await using home = new HvshHome();
  records(
    await home.run(["run", "-d", "--paused"], JSON.stringify(countingGuest("two", "vm0"))),
  );
  const folder = await unpacked(home, "vm0", "vm");
  await end(home, "vm0");
  for (const record of ["vm.json", "board.json", "cpu/1.json"]) {
    Deno.renameSync(`${folder}/${record}`, `${home.folder}/aside`);
    const { status, stderr } = await home.run(["restore", "-d", "vm"]);
    assert.equal(status, 125);
    assert.ok(stderr.includes(`has no ${record}`), stderr);
    Deno.renameSync(`${home.folder}/aside`, `${folder}/${record}`);
  }
  records(await home.run(["restore", "-d", "--paused", "vm"]));
  await end(home, "vm0");
});

onKvm("keys that nobody knows are in the next snapshot as they were", async () => {
  await using home = new HvshHome();
  await start(home, "ticks", "vm0", { label: { owner: "me", list: [1, null] } });
  await countsOn(home, "ticks", "vm0");
  const folder = await unpacked(home, "vm0", "vm");
  await end(home, "vm0");
  edit<Document>(`${folder}/vm.json`, (vm) => {
    assert.deepEqual(vm.label, { owner: "me", list: [1, null] });
    vm.later = ["kept"];
    vm.state.later = { kept: true };
    vm.devices[0]!.later = "kept";
  });
  edit<{ [key: string]: Json }>(`${folder}/dev/rtc.json`, (rtc) => {
    rtc.later = { kept: [1] };
    (rtc.state as { [key: string]: Json }).later = "kept";
  });
  records(await home.run(["restore", "-d", "vm"]));
  await home.line("hvsh snapshot vm0 --stop | hvsh restore -d -n vm1");
  await stopped(home, "vm0");
  const again = await unpacked(home, "vm1", "again");
  const vm = json(`${again}/vm.json`) as Document;
  assert.deepEqual([vm.later, vm.state.later, vm.devices[0]!.later], [
    ["kept"],
    { kept: true },
    "kept",
  ]);
  assert.deepEqual(vm.label, { owner: "me", list: [1, null] });
  const rtc = json(`${again}/dev/rtc.json`);
  assert.deepEqual([rtc.later, rtc.state.later], [{ kept: [1] }, "kept"]);
  await end(home, "vm1");
});

/** Refused by its message, or taken. */
async function restores(home: HvshHome, line: string, says?: RegExp): Promise<void> {
  const result = await home.line(line);
  if (says === undefined) {
    const [handle] = records(result);
    await end(home, handle!.live as string);
    return;
  }
  assert.deepEqual([result.status, result.stdout], [125, ""], line);
  assert.match(result.stderr, says, line);
}

onKvm(
  "a file behind a device that is not what it was is refused, unless somebody names it",
  async () => {
    await using home = new HvshHome();
    const at = (name: string) => `${home.folder}/${name}`;
    const disk = home.write("disk", new Uint8Array(2 ** 20));
    home.write("shared", new Uint8Array(4096));
    Deno.mkdirSync(at("folder"));
    const devices = [
      { type: "serial" },
      { type: "disk", name: "disk0", path: disk },
      { type: "share", name: "share0", path: at("folder") },
    ];
    const memory = [
      { type: "ram", size: 4 * 2 ** 20 },
      { type: "shared", base: 0x4000_0000, path: at("shared") },
    ];
    await start(home, "lines", "web", { devices, memory });
    await countsOn(home, "lines", "web");
    assert.equal((await home.run(["snapshot", "web", "--stop", "-o", "web.tar"])).status, 0);
    await stopped(home, "web");
    await restores(home, "hvsh restore -d web.tar");

    const changedDisk = /disk0: \S*disk is not what it was when the state was taken: /;
    const was = Deno.statSync(disk);
    Deno.writeFileSync(disk, Uint8Array.of(1), { append: true });
    await restores(home, "hvsh restore -d web.tar", changedDisk);
    Deno.truncateSync(disk, was.size);
    await restores(home, "hvsh restore -d web.tar", /it has been written since/);
    await restores(home, "hvsh restore -d --force web.tar");
    await restores(home, `hvsh restore -d --set disk0.path=${disk} web.tar`);
    home.write("other", new Uint8Array(2 ** 20));
    await restores(home, `hvsh restore -d --set disk0.path=${at("other")} web.tar`);
    Deno.renameSync(at("other"), disk);
    await restores(home, "hvsh restore -d web.tar", changedDisk);

    const named = `hvsh restore -d --set disk0.path=${disk}`;
    Deno.renameSync(at("folder"), at("aside"));
    await restores(home, `${named} web.tar`, /folder: open: .*\(ENOENT\)/);
    Deno.mkdirSync(at("folder"));
    await restores(home, `${named} web.tar`, /share0: \S*folder is not what it was/);
    Deno.removeSync(at("folder"));
    Deno.renameSync(at("aside"), at("folder"));
    await restores(home, `${named} web.tar`);
    // A stream that does not say what it was is not believed either.
    await home.line("mkdir vm && tar x -C vm -f web.tar");
    edit<{ [key: string]: Json }>(`${home.folder}/vm/dev/disk0.json`, (record) => {
      delete record.backing;
    });
    await restores(home, "hvsh restore -d vm", /disk0: .*the stream does not say what it was/);

    Deno.copyFileSync(at("shared"), at("copy"));
    Deno.renameSync(at("copy"), at("shared"));
    await restores(home, `${named} web.tar`, /file0: \S*shared is not what it was/);
    await restores(home, `${named} --force web.tar`);
  },
);

onKvm("what a state wants of its host is listed, with what is amiss", async () => {
  await using home = new HvshHome();
  const disk = home.write("disk", new Uint8Array(2 ** 20));
  const devices = [
    { type: "serial", name: "serial0" },
    { type: "disk", name: "disk0", path: disk },
    { type: "net", name: "net0", backend: `unix:${home.folder}/net` },
  ];
  {
    await using _sink = new Sink(`${home.folder}/net`);
    await start(home, "two", "web", { devices });
    await home.run(["snapshot", "web", "--stop", "-o", "web.tar"]);
    await stopped(home, "web");
    const good = records(await home.line("hvsh restore --explain <web.tar"));
    assert.deepEqual(good.map(({ part, ok }) => [part, ok]), [
      ...["format", "cpus", "cpu/0", "features", "cpu/1", "tsc", "board", "memory"].map((
        part,
      ) => [part, true]),
      ...["serial0", "disk0", "net0"].map((part) => [part, true]),
    ]);
  }
  Deno.removeSync(disk);
  await home.line("mkdir vm && tar x -C vm -f web.tar");
  edit<{ cpuid: { leaf: string; ecx: string }[] }>(`${home.folder}/vm/cpu/0.json`, ({ cpuid }) => {
    for (const leaf of cpuid) if (leaf.leaf === "0x7") leaf.ecx = "0xffffffff";
  });
  const bad = await home.run(["restore", "--explain", "vm"]);
  assert.deepEqual([bad.status, bad.stderr], [125, ""]);
  const amiss = bad.stdout.trimEnd().split("\n").map((line) => JSON.parse(line)).filter(({ ok }) =>
    !ok
  );
  assert.deepEqual(amiss.map(({ part }) => part), ["features", "disk0", "net0"]);
  assert.match(amiss[0].why, /this host's CPU lacks /);
  assert.match(amiss[1].why, /ENOENT/);
  home.write("other", new Uint8Array(2 ** 20));
  const set = ["--set", `disk0.path=${home.folder}/other`];
  const named = await home.run(["restore", "--explain", ...set, "vm"]);
  assert.doesNotMatch(named.stdout, /"disk0".*"ok":false/);
  assert.deepEqual(records(await home.run(["list"])), []);
});

onKvm("a VM whose disk has a temporary overlay has no snapshot, and goes on", async () => {
  await using home = new HvshHome();
  const path = home.write("disk", new Uint8Array(2 ** 20));
  const devices = [{ type: "serial" }, { type: "disk", path, overlay: "temporary" }];
  await start(home, "lines", "vm0", { devices });
  for (const flags of [[], ["--stop"], ["-o", "vm.tar"]]) {
    const { status, stdout, stderr } = await home.run(["snapshot", "vm0", ...flags]);
    assert.deepEqual([status, stdout], [125, ""]);
    assert.match(stderr, /disk0: its temporary overlay is gone with its VM's process/);
    await countsOn(home, "lines", "vm0");
  }
  counted("lines", await end(home, "vm0"));
});
