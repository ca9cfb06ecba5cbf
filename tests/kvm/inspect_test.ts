/** The verbs that look into a live VM. */
import assert from "node:assert/strict";
import { inflateSync } from "node:zlib";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { COUNT, listing, SPIN } from "../guest_code.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome, type HvshResult } from "../run_hvsh.ts";

/** What a verb printed, after looking that it did well. */
function said({ status, stdout, stderr }: HvshResult): string {
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

function records(result: HvshResult): Record<string, unknown>[] {
  return said(result).split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

/** Starts a paused VM on some code. */
async function paused(home: HvshHome, name: string, code: Uint8Array, ...flags: string[]) {
  const path = home.write(`${name}.bin`, code);
  said(await home.run(["run", "-d", "--paused", "-n", name, ...flags, "--flat", path]));
}

async function ended(home: HvshHome, ...names: string[]): Promise<void> {
  said(await home.run(["kill", ...names]));
  for (const name of names) await home.run(["wait", name]);
}

/** Writes "Hi" in two colours to the screen, then spins. Real mode. */
const SCREEN = listing(`
  b8 00 b8              mov ax, 0xb800
  8e d8                 mov ds, ax
  c7 06 00 00 48 1e     mov word [0], 0x1e48  ; H, yellow on blue
  c7 06 02 00 69 2f     mov word [2], 0x2f69  ; i, white on green
  c7 06 a0 00 db 04     mov word [160], 0x04db ; a full block in red, on the second line
  eb fe                 jmp $
`);

/** In long mode: maps nothing new, spins at its second instruction. */
const LONG = listing(`
  48 b8 88 77 66 55 44 33 22 11  mov rax, 0x1122334455667788
  eb fe                          jmp $
`);

onKvm("regs shows a record for each vCPU, and sets what it is told", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "--cpus", "2");
  const shown = records(await home.run(["regs", "web"]));
  assert.deepEqual(shown.map(({ live, cpu }) => [live, cpu]), [["web", 0], ["web", 1]]);
  assert.deepEqual([shown[0]!.rip, shown[0]!["cs.base"]], ["0x7c00", "0x0"]);

  const set = records(await home.line("hvsh regs web --set rip=0x1000 rflags=2 xmm3=255"));
  assert.deepEqual(set.map(({ live, state }) => [live, state]), [["web", "paused"]]);
  assert.deepEqual(
    records(await home.line("hvsh list | hvsh regs --cpu 0 --get rip --get rflags --get xmm3")),
    [{ live: "web", cpu: 0, rip: "0x1000", rflags: "0x2", xmm3: "0xff" }],
  );
  const [groups] = records(await home.run(["regs", "web", "xcr", "mp", "--cpu", "1"]));
  assert.deepEqual(Object.keys(groups!), ["live", "cpu", "xcr0", "mp_state"]);

  for (
    const [words, message] of [
      [["web", "--set", "rpi=1"], /There is no register "rpi"\n {2}try: did you mean r/],
      [["web", "--set", "rip"], /"rip" is not NAME=VALUE/],
      [["web", "rip=1"], /"rip=1" wants --set before it/],
      [["web", "--cpu", "2"], /There is no vCPU 2: the VM has 2, from 0 on/],
    ] as const
  ) {
    const { status, stdout, stderr } = await home.run(["regs", ...words]);
    assert.equal(status === 2 || status === 125, true);
    assert.equal(stdout, "");
    assert.match(stderr, message);
  }
  await ended(home, "web");
});

onKvm("mem reads, writes and finds bytes, while the guest runs", async () => {
  await using home = new HvshHome();
  home.write("count.bin", COUNT);
  home.write("patch", Uint8Array.of(0x90, 0x90));
  said(await home.line("hvsh run -d -n web -m 64M --flat count.bin"));
  assert.equal(said(await home.line("hvsh mem read web 0x7c00 2 | cat")), "\xb8\0");
  assert.equal(said(await home.line("printf hello | hvsh mem write web 0x3000000")), "");
  assert.equal(said(await home.run(["mem", "read", "web", "48M", "5"])), "hello");
  assert.deepEqual(
    records(await home.line("hvsh list | hvsh mem write 0x20000 patch")).map(({ live }) => live),
    ["web"],
  );
  assert.equal(
    said(await home.line("hvsh list | hvsh mem read 0x20000 3 --virtual")),
    "\x90\x90\0",
  );
  assert.deepEqual(records(await home.run(["mem", "search", "web", "hello"])), [
    { live: "web", address: "0x3000000" },
  ]);
  const hex = records(await home.run(["mem", "search", "web", "0x8ed866ff"]));
  assert.deepEqual(hex, [{ live: "web", address: "0x7c03" }]);
  assert.deepEqual(records(await home.run(["mem", "map", "web"])), [
    { live: "web", address: "0x0", size: 2 ** 26, type: "ram", readonly: false },
  ]);
  const count = async () => said(await home.run(["mem", "read", "web", "0x10000", "4"]));
  const before = await count();
  while (await count() === before); // it counts on
  await ended(home, "web");
});

onKvm("mem moves much, and ends when nobody reads", async () => {
  await using home = new HvshHome();
  await paused(home, "big", SPIN, "-m", "512M");
  const size = 100 * 2 ** 20;
  const sum = "head -c 104857600 /dev/zero | tr '\\0' x | cksum";
  said(
    await home.line("head -c 104857600 /dev/zero | tr '\\0' x | hvsh mem write big 1M"),
  );
  const line = await home.line(`hvsh mem read big 1M 100M | cksum; ${sum}`);
  const [read, wanted] = said(line).split("\n");
  assert.equal(read, wanted);
  assert.ok(read!.endsWith(` ${size}`));
  assert.equal(said(await home.line("hvsh mem read big 0 512M | head -c 1 | wc -c")).trim(), "1");
  await ended(home, "big");
});

onKvm("what is no memory is said to be none", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SPIN, "-m", "1M");
  for (
    const [words, message] of [
      [["read", "web", "0xfee00000", "4"], /0xfee00000 is not memory but a device's, or nobody's/],
      [["read", "web", "0xffff0", "32"], /0x100000 is not memory/],
      [["map", "web", "--virtual"], /VM "web" has paging off/],
      [["read", "web", "start_kernel", "4"], /neither an address nor a symbol of VM "web"/],
      [["read", "web", "0x1000", "4Q"], /Cannot parse the size "4Q"/],
      [["search", "web", "0x0000"], /Zeros are everywhere/],
      [["read", "web", "1", "2", "3"], /It is: hvsh mem read \[NAME\] ADDR LENGTH/],
    ] as const
  ) {
    const { status, stdout, stderr } = await home.run(["mem", ...words]);
    assert.deepEqual([status === 2 || status === 125, stdout], [true, ""]);
    assert.match(stderr, message);
  }
  await ended(home, "web");
});

onKvm("in long mode memory is read and mapped by the guest's own page tables", async () => {
  await using home = new HvshHome();
  await paused(home, "long", LONG, "-m", "16M", "--mode", "long");
  const [range] = records(await home.run(["mem", "map", "long", "--virtual"]));
  assert.deepEqual([range!.address, range!.physical, range!.rights], ["0x0", "0x0", "rwx-"]);
  const [{ rip }] = records(await home.run(["regs", "long"])) as [{ rip: string }];
  const read = await home.run(["mem", "read", "long", rip, "2", "--virtual"]);
  assert.equal(said(read), "\x48\xb8");
  const beyond = await home.run(["mem", "read", "long", "0xffff800000000000", "1", "-v"]);
  assert.match(
    beyond.stderr,
    /0xffff800000000000 is not mapped: not present, PML4 \(entry 0x0 at 0x[0-9a-f]+\)/,
  );
  const [first, second] = records(await home.run(["disasm", "long", "-n", "2"]));
  assert.deepEqual(first, {
    live: "long",
    cpu: 0,
    address: rip,
    bytes: "48b88877665544332211",
    instruction: "mov rax,1122334455667788h",
  });
  assert.match(second!.instruction as string, /^jmp short /);
  await ended(home, "long");
});

onKvm("disasm takes code as wide as CS says, or as it is told", async () => {
  await using home = new HvshHome();
  await paused(home, "web", SCREEN);
  const text = async (...words: string[]) =>
    records(await home.run(["disasm", "web", ...words])).map(({ instruction }) => instruction);
  assert.deepEqual(await text("-n", "3"), [
    "mov ax,0B800h",
    "mov ds,ax",
    "mov word ptr [0],1E48h",
  ]);
  assert.deepEqual(await text("0x7c00", "-n", "1", "--bits", "32"), ["mov eax,0D88EB800h"]);
  assert.deepEqual(
    records(await home.line("hvsh list | hvsh disasm 0x7c03 -n 1")).map(({ bytes }) => bytes),
    ["8ed8"],
  );
  await ended(home, "web");
});

onKvm("screen prints the text screen, and draws it", async () => {
  await using home = new HvshHome();
  home.write("screen.bin", SCREEN);
  said(await home.line("hvsh run -d -n web --flat screen.bin"));
  let text = "";
  while (!text.includes("█")) {
    text = new TextDecoder().decode(
      Uint8Array.from(said(await home.run(["screen", "web"])), (c) => c.charCodeAt(0)),
    );
  }
  assert.equal(text, "Hi\n█\n");
  const png = Uint8Array.from(
    said(await home.run(["screen", "web", "--png"])),
    (c) => c.charCodeAt(0),
  );
  const view = new DataView(png.buffer);
  assert.deepEqual([view.getUint32(16), view.getUint32(20)], [640, 400]);
  const data = new TextDecoder("latin1").decode(png).indexOf("IDAT");
  const pixels = inflateSync(png.subarray(data + 4, data + 4 + view.getUint32(data - 4)));
  const pixel = (x: number, y: number) => {
    const byte = pixels[y * 321 + 1 + (x >> 1)]!;
    return x % 2 === 0 ? byte >> 4 : byte & 0xf;
  };
  assert.deepEqual([pixel(0, 0), pixel(1, 1), pixel(8, 0), pixel(3, 20)], [1, 14, 2, 4]);
  await ended(home, "web");
});

onKvm("a core has what is in the VM, as gdb reads it", async () => {
  await using home = new HvshHome();
  await paused(home, "long", LONG, "-m", "16M", "--mode", "long", "--cpus", "2");
  said(await home.line("hvsh regs long --set rbx=0x1234 xmm1=7"));
  said(await home.line("hvsh core long > core.elf"));
  const core = Deno.readFileSync(`${home.folder}/core.elf`);
  assert.deepEqual([...core.subarray(0, 5), core[16]], [0x7f, 0x45, 0x4c, 0x46, 2, 4]);
  if (findProgram("gdb") !== undefined) {
    const script = [
      "info registers rbx rip",
      "p/x $xmm1.uint128",
      "info threads",
      "x/2xb $rip",
    ].map((command) => `-ex '${command}'`).join(" ");
    const { stdout } = await home.line(`gdb -q -nx -batch ${script} -c core.elf 2>&1`);
    assert.match(stdout, /rbx +0x1234/);
    assert.match(stdout, /\$1 = 0x7$/m);
    assert.match(stdout, /2 +LWP 2/);
    assert.match(stdout, /0x[0-9a-f]+:\t0x48\t0xb8$/m);
  }
  const { status, stderr } = await home.line("hvsh core long | head -c 10 >/dev/null");
  assert.deepEqual([status, stderr], [0, ""]);
  await ended(home, "long");
});
