import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import fc from "fast-check";
import { HvshError, UsageError } from "../ffi/errors.ts";
import { parseDocument, type VmDocument } from "../vmm/document.ts";
import { TestFolder } from "../tests/sh_line.ts";
import { parseWords } from "./argv.ts";
import { asDocument } from "./documents.ts";
import { loadVerb, loadVerbs } from "./table.ts";

const start: VmDocument = { vm: 1 };

async function build(line: string, document = start, cwd = "/"): Promise<VmDocument> {
  const [name, ...words] = line.split(" ");
  const verb = (await loadVerb(name!))!;
  return verb.build!(document, parseWords(verb, words), cwd);
}

async function refused(line: string, message: RegExp, cwd = "/"): Promise<HvshError> {
  try {
    await build(line, start, cwd);
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    equal(message.test(error.message), true, error.message);
    return error;
  }
  throw new Error(`${line} was taken`);
}

/** A line for each builder; a.bin is there. */
const LINES = [
  "create -m 64M -c 2 -n web",
  "cpu 2 --mask cx16 --template minimal",
  "map ram 16M@0x80000000",
  "map shared a.bin@0x40000000 --size 4K --offset 0x1000",
  "kernel a.bin --unpack no --entry pvh",
  "initrd a.bin a.bin",
  "cmdline quiet panic=-1",
  "flat a.bin@0x1000 a.bin data:;base64,9A== --mode long --entry 4K",
  "multiboot a.bin --module a.bin",
  "firmware a.bin",
  "disk a.bin --direct --serial A1 --queues 4 --limit 10M --operations 500 --transport mmio",
  "net user --forward tcp:8080:80 --mac 02:00:00:00:00:01 --mtu 9000 --limit 1M",
  "serial --port 0x2f8 --irq 3",
  "console --size 80x25 --port agent --port log=write:log.txt --port in=stdin",
  "share .:work --writable --uid 0 --gid 100 --cache none",
  "rng --limit 64K",
  "watchdog --action poweroff --timeout 2m",
  "vsock --cid 5 a.vsock",
  "balloon --target 16M --stats 1 --no-deflate --no-reporting",
  "device pvpanic port=0x510",
];

Deno.test("every builder has a line here, and gives a document that the schema takes", async () => {
  await using folder = new TestFolder();
  folder.write("a.bin");
  const builders = (await loadVerbs()).filter((verb) => verb.build !== undefined);
  deepEqual(new Set(LINES.map((line) => line.split(" ")[0])), new Set(builders.map((b) => b.name)));
  for (const line of LINES) {
    const document = await build(line, start, folder.path);
    deepEqual(parseDocument(document, "test"), document, line);
  }
});

Deno.test("keys that a builder does not know survive it, at every level", async () => {
  await using folder = new TestFolder();
  folder.write("a.bin");
  const builders = await Promise.all(LINES.map(async (line) => {
    const [name, ...words] = line.split(" ");
    const verb = (await loadVerb(name!))!;
    return { verb, words: parseWords(verb, words) };
  }));
  // A key of its own, so that no builder sets it; any value.
  const extra = fc.dictionary(fc.string().map((key) => `x-${key}`), fc.jsonValue(), { maxKeys: 2 });
  const document = fc.record({
    extra,
    boot: fc.record({ extra, kernel: extra, flat: extra, multiboot: extra, firmware: extra }),
    cpu: extra,
    entry: extra,
  }).map(({ extra, boot, cpu, entry }) => ({
    vm: 1 as const,
    ...extra,
    memory: [{ type: "ram" as const, size: 4096, ...entry }],
    cpu,
    boot: {
      ...boot.extra,
      kernel: { path: "/k", ...boot.kernel },
      flat: { images: [{ path: "/f", ...entry }], ...boot.flat },
      multiboot: { path: "/m", modules: [{ path: "/x", ...entry }], ...boot.multiboot },
      firmware: { path: "/w", ...boot.firmware },
    },
    devices: [{ type: "serial", name: "serial0", ...entry }],
  }));
  fc.assert(fc.property(document, fc.constantFrom(...builders), (document, { verb, words }) => {
    const built = verb.build!(document, words, folder.path);
    // `create` is a start: it says anew what memory and devices there are.
    const before: Record<string, unknown> = { ...document };
    if (verb.name === "create") {
      delete before.memory;
      delete before.devices;
    }
    includesUnknown(built, before);
  }));
});

/** Checks that what `before` has under keys `x-…` is in `after` at the same place. */
function includesUnknown(after: unknown, before: unknown): void {
  if (typeof before !== "object" || before === null) return;
  for (const [key, value] of Object.entries(before)) {
    const found = (after as Record<string, unknown>)[key];
    if (key.startsWith("x-")) deepEqual(found, value);
    else includesUnknown(found, value);
  }
}

Deno.test("relative paths become absolute, .. stays", async () => {
  await using folder = new TestFolder();
  folder.write("a.bin");
  Deno.mkdirSync(`${folder.path}/b`);
  const paths = ["a.bin", "./a.bin", "b/../a.bin", ".//a.bin"];
  const found = await Promise.all(
    paths.map(async (path) =>
      (await build(`kernel ${path}`, start, folder.path)).boot!.kernel!.path
    ),
  );
  deepEqual(found.map((path) => path.slice(folder.path.length)), [
    "/a.bin",
    "/a.bin",
    "/b/../a.bin",
    "/a.bin",
  ]);
});

Deno.test("images that are not there, or no files, are refused by each verb that names them", async () => {
  await using folder = new TestFolder();
  folder.write("file");
  Deno.symlinkSync("loop", `${folder.path}/loop`);
  await new Deno.Command("mkfifo", { args: [`${folder.path}/fifo`] }).output();
  const verbs = ["kernel", "initrd", "flat", "multiboot", "firmware", "map rom"];
  for (const verb of verbs) {
    const at = verb === "map rom" ? "@0xf0000" : "";
    const cases: [string, RegExp][] = [
      ["missing", /^missing: no such file or directory \(ENOENT\)$/],
      ["file/x", /ENOTDIR/],
      ["loop", /ELOOP/],
      [".", /^\. is a folder, not a file$/],
      ["fifo", /^fifo is a FIFO, not a file$/],
      ["/dev/zero", /^\/dev\/zero is a device, not a file$/],
      ["a\0b", /NUL/],
    ];
    for (const [path, message] of cases) {
      const error = await refused(`${verb} ${path}${at}`, message, folder.path);
      equal(error.exitStatus, 125, `${verb} ${path}`);
    }
    const stdin = await refused(`${verb} -${at}`, /^Cannot read an image from stdin/, folder.path);
    equal(stdin.exitStatus, 2);
  }
});

Deno.test("what no machine can have is a usage error", async () => {
  const cases: [string, RegExp][] = [
    ["create -m 0", /^Cannot make 0 of RAM: it comes in pages of 4K$/],
    ["create -m 4097", /^Cannot make 4097 of RAM/],
    ["create -c 0", /^Cannot make 0 CPUs: a machine has 1 to 255$/],
    ["create -c 256", /256 CPUs/],
    ["create -n ../x", /"\.\.\/x" is not a name/],
    ["cpu 9999", /9999 CPUs/],
    ["map ram 5K@0", /5K of RAM/],
    ["map ram xyz@0", /Cannot parse the size "xyz"/],
    ["map rom bios.bin", /^Where in guest memory does bios.bin lie\?$/],
    ["map ram 4K@0 --offset 4", /^RAM has its size in front of the @/],
    ["flat @0x1000", /names no file$/],
    ["flat x@0zz", /Cannot parse the address "0zz"/],
    ["flat data:;base64,*", /not base64$/],
    ["device ./x.ts", /ENOENT/],
    ["device pvpanic x", /^Cannot set "x": write KEY=VALUE$/],
    ["device pvpanic type=x", /^Cannot set "type=x"/],
    ["serial -n .hidden", /is not a name/],
    ["disk", /^Which disk\?/],
    ["disk missing", /^missing: no such file or directory \(ENOENT\)$/],
    ["disk /dev/zero", /^\/dev\/zero is a device, no disk$/],
    ["disk .", /^\. is a folder, no disk$/],
    ["disk nbd+unix:///x", /no address of a unix socket/],
    ["disk unix:/s --overlay temporary", /^For an NBD server, --overlay does nothing$/],
    ["disk unix:/s --direct", /--direct does nothing/],
    ["disk unix:/s --serial 123456789012345678901", /^The serial number .* 20 bytes/],
    ["disk unix:/s --queues 17", /^--queues 17: it takes 1 to 16$/],
    ["disk unix:/s --limit 0", /^--limit 0: it takes 1 at least$/],
    ["disk unix:/s --readonly --overlay temporary", /does nothing/],
    ["console --size 80", /^"80" is no size of a window/],
    ["console --size 0x25", /no size of a window/],
    ["console --size 80x65536", /no size of a window/],
    ["console --port .x", /^"\.x" is no name of a port/],
    ["console --port a=", /^Port a: "" is no path$/],
    ["console --port a=read:", /^Port a: "read:" is no path$/],
    ["console --port a=read:missing", /^missing: no such file or directory \(ENOENT\)$/],
    ["console --port a=read:.", /^\. is a folder/],
    ["console --port a --port a=x", /^Two ports are named "a"$/],
    [`console ${Array.from({ length: 8 }, (_, n) => `--port p${n}`).join(" ")}`, /8 ports/],
    ["rng --limit 0", /a byte a second at least/],
    ["watchdog --timeout 2h", /waits 0\.1 to 6553\.5 seconds, not 7200$/],
    ["watchdog --timeout 50ms", /not 0\.05$/],
  ];
  for (const [line, message] of cases) await refused(line, message);
});

Deno.test("words that are nearly right get the right one as a hint", async () => {
  equal((await refused("cpu --mask cx61", /cx61/)).hint, "did you mean cx16?");
  equal((await refused("device pvpanik", /pvpanik/)).hint, "did you mean pvpanic?");
});

Deno.test("create gives 256M, one CPU and a serial port unless told otherwise", async () => {
  deepEqual(await build("create"), {
    vm: 1,
    memory: [{ type: "ram", size: 2 ** 28 }],
    cpus: 1,
    devices: [{ type: "serial", name: "serial0" }],
  });
});

Deno.test("cmdline and initrd add to what is there, cmdline --set replaces it", async () => {
  const one = await build("cmdline a b");
  equal((await build("cmdline c", one)).boot?.cmdline, "a b c");
  equal((await build("cmdline --set c", one)).boot?.cmdline, "c");
});

Deno.test("masks add up without doubles", async () => {
  const one = await build("cpu --mask cx16,avx");
  deepEqual((await build("cpu --mask avx --mask pni", one)).cpu?.mask, ["cx16", "avx", "pni"]);
  equal(one.cpus, undefined);
});

Deno.test("serial takes the next free name, or changes the port that has the name", async () => {
  const one = await build("create");
  deepEqual((await build("serial", one)).devices?.map(({ name }) => name), ["serial0", "serial1"]);
  deepEqual((await build("serial -n serial0 --port 0x2f8", one)).devices, [
    { type: "serial", name: "serial0", port: 0x2f8 },
  ]);
});

Deno.test("a disk or a card that becomes another keeps nothing that means nothing for it", async () => {
  await using folder = new TestFolder();
  folder.write("a.img");
  const become = async (...lines: string[]) => {
    let document = start;
    for (const line of lines) document = await build(line, document, folder.path);
    return document.devices!.map(({ type: _type, name: _name, ...keys }) => keys);
  };
  const path = `${folder.path}/a.img`;
  const nbd = "unix:/x.sock";
  deepEqual(await become("disk a.img --direct --queues 2", `disk ${nbd} -n disk0`), [{
    queues: 2,
    nbd,
  }]);
  deepEqual(await become(`disk ${nbd}`, "disk a.img -n disk0"), [{ path }]);
  deepEqual(await become("disk a.img -r", "disk -n disk0 -o temporary"), [
    { path, overlay: "temporary" },
  ]);
  deepEqual(await become("disk a.img -o temporary", "disk -n disk0 --direct"), [
    { path, cache: "none" },
  ]);
  const tap = "net tap vm0 --address 10.0.0.1/24 --queues 2 --mtu 9000";
  deepEqual(await become(tap, "net user -n net0"), [{ backend: "user", mtu: 9000 }]);
  deepEqual(await become("net user -f tcp:80:80", "net passt -n net0"), [
    { backend: "passt", forward: ["tcp:80:80"] },
  ]);
  deepEqual(await become("net user -f tcp:80:80", "net tap -n net0"), [{ backend: "tap" }]);
  deepEqual((await become(tap, "net -n net0 --mtu 1500"))[0]!.mtu, 1500);
  await rejects(become("disk a.img", "net user -n disk0"), /The device disk0 is a disk, no net/);
});

Deno.test("a port's end is a socket, a file or one of hvsh's own streams", async () => {
  await using folder = new TestFolder();
  folder.write("in.txt");
  const words = ["agent", "sock=a.sock", "in=read:in.txt", "out=write:out.txt", "err=stderr"];
  const line = `console ${words.map((word) => `--port ${word}`).join(" ")}`;
  const [console] = (await build(line, start, folder.path)).devices!;
  deepEqual((console as unknown as { ports: unknown }).ports, [
    { name: "agent", mode: "none" },
    { name: "sock", mode: "socket", path: `${folder.path}/a.sock` },
    { name: "in", mode: "read", path: `${folder.path}/in.txt` },
    { name: "out", mode: "write", path: `${folder.path}/out.txt` },
    { name: "err", mode: "write", fd: 2 },
  ]);
});

Deno.test("a machine has one watchdog, whatever its name", async () => {
  const one = await build("watchdog -n dog --timeout 5");
  deepEqual((await build("watchdog --action none", one)).devices, [
    { type: "watchdog", name: "dog", timeout: 5, action: "none" },
  ]);
});

Deno.test("a device's settings are JSON, hexadecimal numbers or text", async () => {
  const { devices } = await build('device pvpanic a=1 b=0x10 c=true d=x=y e={"f":[1]} g=');
  deepEqual(devices, [{ type: "pvpanic", a: 1, b: 16, c: true, d: "x=y", e: { f: [1] }, g: "" }]);
});

Deno.test("a device's file is named by a URL, whatever its name has in it", async () => {
  await using folder = new TestFolder();
  const path = folder.write("a b#c%20.ts");
  const verb = (await loadVerb("device"))!;
  const [device] = verb.build!(start, { type: "a b#c%20.ts" }, folder.path).devices!;
  equal(device!.type, "module");
  const url = new URL((device as unknown as { module: string }).module);
  equal(decodeURIComponent(url.pathname), path);
});

Deno.test("what builders add to must be of the right kind", () => {
  const cases: [unknown, RegExp][] = [
    [[], /it is not an object/],
    [{}, /it has no "vm"/],
    [{ vm: 2 }, /"vm" is 2, not 1/],
    [{ live: "web" }, /a handle on stdin, of the live VM "web", not a document/],
    [{ vm: 1, devices: {} }, /devices is not an array/],
    [{ vm: 1, boot: [] }, /boot is not an object/],
    [{ vm: 1, boot: null }, /boot is not an object/],
    [{ vm: 1, boot: { cmdline: 3 } }, /boot\.cmdline is not a string/],
    [{ vm: 1, boot: { flat: { images: "x" } } }, /boot\.flat\.images is not an array/],
  ];
  for (const [value, message] of cases) throws(() => asDocument(value, "stdin"), message);
});

Deno.test("a share is a folder and a tag, which a colon in the folder's name does not make", async () => {
  await using folder = new TestFolder();
  folder.write("file");
  Deno.mkdirSync(`${folder.path}/a:b`);
  const share = async (line: string, document = start) =>
    (await build(`share ${line}`, document, folder.path)).devices!.at(-1);
  deepEqual(await share("."), { type: "share", name: "share0", path: folder.path });
  deepEqual(await share("a:b:c"), {
    type: "share",
    name: "share0",
    path: `${folder.path}/a:b`,
    tag: "c",
  });
  equal((await share("a:b"))!.tag, undefined);
  const first = await build("share .:work", start, folder.path);
  deepEqual(await share("--name share0 --writable", first), {
    ...first.devices![0],
    readonly: false,
  });
  equal((await share(".", first))!.name, "share1");
  await refused("share", /Name the folder/);
  await refused("share file", /is a file, not a folder/, folder.path);
  await refused("share none:tag", /^none: no such file/, folder.path);
  await refused(`share . --tag ${"t".repeat(37)}`, /1 to 36 bytes/, folder.path);
  await refused("share . --uid 4294967295", /--uid/, folder.path);
  await rejects(build("share / --tag work", first), /is that of share0 already/);
});

Deno.test("usage errors end with 2", async () => {
  equal((await refused("create -m 0", /./)) instanceof UsageError, true);
});
