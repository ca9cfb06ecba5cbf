/** The verbs that look into a live VM. */
import assert from "node:assert/strict";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { listing, SPIN } from "../guest_code.ts";
import { ended, paused, records, said } from "../inspected_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Stores to the screen. Real mode. */
const STORES = listing(`
  b8 00 b8              mov ax, 0xb800
  8e d8                 mov ds, ax
  c7 06 00 00 48 1e     mov word [0], 0x1e48
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
  await paused(home, "web", STORES);
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

/** Starts a VM with known registers. */
async function known(home: HvshHome): Promise<void> {
  await paused(home, "long", LONG, "-m", "16M", "--mode", "long", "--cpus", "2");
  said(await home.line("hvsh regs long --set rbx=0x1234 xmm1=7"));
}

onKvm("a core is an ELF of the registers and the memory, and ends with its reader", async () => {
  await using home = new HvshHome();
  await known(home);
  said(await home.line("hvsh core long > core.elf"));
  const core = Deno.readFileSync(`${home.folder}/core.elf`);
  assert.deepEqual([...core.subarray(0, 5), core[16]], [0x7f, 0x45, 0x4c, 0x46, 2, 4]);
  const { rip } = records(await home.run(["regs", "long"]))[0] as { rip: string };
  const at = core.length - 2 ** 24 + Number(rip);
  assert.deepEqual(core.subarray(at, at + LONG.length), LONG);
  const { status, stderr } = await home.line("hvsh core long | head -c 10 >/dev/null");
  assert.deepEqual([status, stderr], [0, ""]);
  await ended(home, "long");
});

const gdb = findProgram("gdb");
const readsCore = "gdb reads a core: threads, registers, memory by linear address";
if (gdb === undefined && Deno.env.get("HVSH_REQUIRE_KVM") !== "1") {
  Deno.test({ name: readsCore, ignore: true, fn() {} });
} else {
  onKvm(readsCore, async () => {
    await using home = new HvshHome();
    await known(home);
    const script = ["info registers rbx rip", "p/x $xmm1.uint128", "info threads", "x/2xb $rip"]
      .map((command) => `-ex '${command}'`).join(" ");
    said(await home.line("hvsh core long > core.elf"));
    const { stdout } = await home.line(`${gdb} -q -nx -batch ${script} -c core.elf 2>&1`);
    assert.match(stdout, /rbx +0x1234/);
    assert.match(stdout, /\$1 = 0x7$/m);
    assert.match(stdout, /2 +LWP 2/);
    assert.match(stdout, /0x[0-9a-f]+:\t0x48\t0xb8$/m);
    await ended(home, "long");
  });
}
