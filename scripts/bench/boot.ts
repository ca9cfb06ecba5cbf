/**
 * Linux from the start of the VMM's process to the first line of the guest's init. Not every KVM can
 * run it: where this host's is made of neither VT-x nor SVM, the emulated host's is measured.
 *
 * @module
 */
import { guestPath, hasGuest } from "../setup/guests.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { hasHardwareKvm, inEmulatedHost } from "./emulated.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult } from "./result.ts";
import type { Workbench } from "./workbench.ts";

const NAME = "boot";
const ROUNDS = { count: 3, warmUp: 1 };
/** What the guest's init prints first. */
const UP = "hvsh-guest: up";
/** Of one boot; several times what the slowest one took. */
const LIMIT_MILLISECONDS = 120_000;
/** Of a VMM's end after SIGTERM. */
const GRACE_MILLISECONDS = 5000;
/** Linux start to init. */
export const boot: Bench = {
  names: { [NAME]: "Linux, from the VMM's start to the guest's init" },
  async run(bench, warn) {
    if (!hasGuest("vmlinuz") || !hasGuest("initramfs.cpio")) {
      warn(`${NAME} IS LEFT OUT: there is no kernel to boot; run: deno task setup`);
      return [];
    }
    if (hasHardwareKvm()) return await measure(bench);
    return await inEmulatedHost([NAME], bench.signal, warn);
  },
};

async function measure(bench: Workbench): Promise<BenchResult[]> {
  const contestants = commands(bench).map(([subject, command]): Contestant<number> => ({
    subject,
    measure: () => secondsToInit(command, bench.signal),
  }));
  return resultsOf(NAME, "s", await interleave(contestants, { ...ROUNDS, signal: bench.signal }));
}

/** How each VMM that is here is told to boot Linux. */
function commands({ hvsh, qemu, lkvm }: Workbench): [Contestant<number>["subject"], string[]][] {
  const kernel = guestPath("vmlinuz");
  const initrd = guestPath("initramfs.cpio");
  const found: [Contestant<number>["subject"], string[]][] = [[
    "hvsh",
    [hvsh, "run", "-m", "256M", "--kernel", kernel, "--initrd", initrd, "--cmdline", "quiet"],
  ]];
  const cmdline = "console=ttyS0 quiet";
  if (qemu !== undefined) {
    found.push(["qemu", [
      qemu,
      ...["-M", "microvm,isa-serial=on,rtc=on", "-accel", "kvm", "-cpu", "host", "-m", "256M"],
      ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"],
      ...["-kernel", kernel, "-initrd", initrd, "-append", cmdline],
    ]]);
  }
  if (lkvm !== undefined) {
    found.push(["lkvm", [
      lkvm,
      ...["run", "--mem", "256", "--cpus", "1", "--console", "serial", "--network", "mode=none"],
      ...["--kernel", kernel, "--initrd", initrd, "--params", cmdline],
    ]]);
  }
  return found;
}

async function secondsToInit(
  [program, ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const started = performance.now();
  const process = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal,
  }).spawn();
  const limit = setTimeout(() => process.kill("SIGKILL"), LIMIT_MILLISECONDS);
  let console = "";
  try {
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
      console += text;
      if (console.includes(UP)) return (performance.now() - started) / 1000;
    }
  } finally {
    clearTimeout(limit);
    await end(process);
  }
  const last = console.trimEnd().split("\n").slice(-10).join("\n  | ");
  throw new Error(`Linux in ${program} did not come to its init; its last lines:\n  | ${last}`);
}

/** Ends a VMM whose guest runs on. */
async function end(process: Deno.ChildProcess): Promise<void> {
  const last = setTimeout(() => process.kill("SIGKILL"), GRACE_MILLISECONDS);
  try {
    process.kill("SIGTERM");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // it has ended already
  }
  await process.status;
  clearTimeout(last);
}
