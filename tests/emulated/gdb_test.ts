import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import "../c_library.ts";
import { findProgram } from "../../scripts/setup/find_program.ts";
import { guestPath, hasGuest } from "../../scripts/setup/guests.ts";
import { loadBoot } from "../../vmm/boot/load.ts";
import { findKernel } from "../../vmm/debug/kernel_symbols.ts";
import { OwnMemory } from "../../vmm/debug/physical_memory.ts";
import { MachineMemory } from "../../vmm/memory.ts";
import { symbolElf } from "../symbol_elf.ts";

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const inside = Deno.env.get("HVSH_EMULATED_HOST") === "1";
const programs = ["gdb", "qemu-system-x86_64"];
const lacking = programs.find((program) => findProgram(program) === undefined);
const required = Deno.env.get("HVSH_REQUIRE_KVM") === "1";
const ignore = inside || (!required && (lacking !== undefined || !hasGuest("vmlinuz")));
if (ignore && !inside) console.error(`Left out: GDB at start_kernel: there is no ${lacking}`);
const DEADLINE_SECONDS = 180;

/** The functions of Debian's kernel, out of the tables that it keeps of itself. */
async function kernelSymbols() {
  using memory = new MachineMemory([{ type: "ram", size: 256 * 2 ** 20 }]);
  await loadBoot(memory, { kernel: { path: guestPath("vmlinuz") } }, {});
  const { symbols } = findKernel(new OwnMemory(memory.guest))!;
  return symbols.filter(({ address }) => address >= 2n ** 63n);
}

Deno.test({
  name:
    "GDB breaks at Debian's start_kernel by the pipe form, shows where it is, steps and detaches",
  ignore,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "hvsh-test-" });
    try {
      Deno.writeFileSync(`${folder}/vmlinux`, symbolElf(await kernelSymbols()));
      const run = `hvsh run -d --paused -n web ${guestPath("vmlinuz")} ` +
        `--initrd ${guestPath("initramfs.cpio")} --cmdline 'quiet hvsh.do=poweroff'`;
      Deno.writeTextFileSync(
        `${folder}/inside`,
        `PATH=${project}/scripts:$PATH\n${run} >&2\nhvsh gdb web\nhvsh wait web >&2\n`,
      );
      // GDB ends what its pipe leads to, and closes it, but the guest is to go on.
      Deno.writeTextFileSync(
        `${folder}/target`,
        `trap '' TERM\n${project}/scripts/emulated-host --timeout ${DEADLINE_SECONDS} ` +
          `--in ${folder}/inside sh ${folder}/inside 2>${folder}/said | ` +
          `(cat; cat >/dev/null)\necho >${folder}/done\n`,
      );
      const commands = [
        ...["set confirm off", "set pagination off", `set remotetimeout ${DEADLINE_SECONDS}`],
        ...[`target remote | sh ${folder}/target`, "hbreak start_kernel", "continue"],
        ...["backtrace", "stepi", "stepi", "info registers rip cr3", "delete", "detach"],
      ];
      const { stdout, stderr } = await new Deno.Command(findProgram("gdb")!, {
        args: [
          ...["-q", "-nx", "-batch", `${folder}/vmlinux`],
          ...commands.flatMap((command) => ["-ex", command]),
        ],
        cwd: project,
        env: { HVSH_DENO: Deno.execPath() },
        stdin: "null",
        signal: AbortSignal.timeout(DEADLINE_SECONDS * 1000),
      }).output();
      const shown = new TextDecoder().decode(stdout);
      const why = () => `${shown}\n${new TextDecoder().decode(stderr)}\n${said()}`;
      const said = () => Deno.readTextFileSync(`${folder}/said`);
      assert.match(shown, /Breakpoint 1, 0xffffffff[0-9a-f]+ in start_kernel \(\)/, why());
      assert.match(shown, /#0 +0xffffffff[0-9a-f]+ in start_kernel \(\)\n#1 +0x[0-9a-f]+ in \w+ /);
      const steps = [...shown.matchAll(/^(0xffffffff[0-9a-f]+) in \w+ \(\)$/gm)];
      assert.equal(new Set(steps.map(([, pc]) => pc)).size, 2, why());
      assert.match(shown, /^rip +0xffffffff[0-9a-f]+ /m);
      assert.match(shown, /\[Inferior 1 \(.*\) detached\]/);
      await written(`${folder}/done`);
      // Its init has run, and has powered it off.
      assert.match(
        said(),
        /^\{"live":"web","state":"ended","reason":"poweroff","status":0\}$/m,
        why(),
      );
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** Waits until a file is there. */
async function written(path: string): Promise<void> {
  const late = AbortSignal.timeout(DEADLINE_SECONDS * 1000);
  while (!late.aborted) {
    try {
      Deno.lstatSync(path);
      return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`${path} has not come`);
}
