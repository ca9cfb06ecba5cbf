/** The verbs that look into a live VM. */
import assert from "node:assert/strict";
import { listing, SPIN } from "../guest_code.ts";
import { ended, LONG, paused, records, said } from "../inspected_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

/** Stores to the screen. Real mode. */
const STORES = listing(`
  b8 00 b8              mov ax, 0xb800
  8e d8                 mov ds, ax
  c7 06 00 00 48 1e     mov word [0], 0x1e48
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
      [["web", "rax"], /There is no live VM named "rax"\n {2}try: --get rax, if it is a register/],
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
