/** `hvsh core`: a VM as an ELF core, and what gdb makes of it. */
import assert from "node:assert/strict";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { ended, LONG, paused, records, said } from "../inspected_vm.ts";
import { onKvm } from "../on_kvm.ts";
import { HvshHome } from "../run_hvsh.ts";

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
