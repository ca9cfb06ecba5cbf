/**
 * `deno task demo`: the main job, seen. A built-in guest first, which needs nothing but /dev/kvm;
 * then Debian's own kernel to user space, here if this KVM can run Linux, else in the emulated host.
 *
 * @module
 */
import { findProgram } from "./setup/find_program.ts";
import { guestPath, hasGuest } from "./setup/guests.ts";

const ROOT = new URL("..", import.meta.url);

/** A boot sector that prints a line: `lodsb` and `out` until a zero byte. */
const HELLO = [
  0xfc, // cld
  ...[0xbe, 0x10, 0x7c], // mov si, 0x7c10
  ...[0xba, 0xf8, 0x03], // mov dx, 0x3f8
  0xac, // lodsb
  ...[0x84, 0xc0], // test al, al
  ...[0x74, 0x03], // jz +3
  0xee, // out dx, al
  ...[0xeb, 0xf8], // jmp -8
  0xf4, // hlt
  ...new TextEncoder().encode("Hello from a guest of 48 bytes\n\0"),
];

/** `popcnt ax, ax; hlt`: a CPU runs it, no KVM that emulates the guest's kernel mode does. */
const POPCNT = [0xf3, 0x0f, 0xb8, 0xc0, 0xf4];

/** Says what a command line is, runs it with sh, and gives its exit status. */
async function show(line: string): Promise<number> {
  console.log(`\n$ ${line}`);
  return await sh(line, "inherit");
}

async function sh(line: string, output: "inherit" | "null"): Promise<number> {
  const path = `${new URL("scripts", ROOT).pathname}:${Deno.env.get("PATH") ?? ""}`;
  const { code } = await new Deno.Command("sh", {
    args: ["-c", line],
    cwd: ROOT,
    env: { PATH: path, HVSH_DENO: Deno.execPath() },
    stdin: "null",
    stdout: output,
    stderr: output,
  }).output();
  return code;
}

/** Bytes as printf of sh writes them. */
function printf(bytes: readonly number[]): string {
  return `printf '${bytes.map((b) => `\\${b.toString(8).padStart(3, "0")}`).join("")}'`;
}

async function boot(): Promise<number> {
  const linux = await sh(`${printf(POPCNT)} | hvsh run --flat -`, "null") === 0;
  if (!linux && findProgram("qemu-system-x86_64") === undefined || !hasGuest("vmlinuz")) {
    if (await show(`${Deno.execPath()} task --quiet setup`) !== 0) return 1;
  }
  const kernel = guestPath("vmlinuz");
  const initrd = guestPath("initramfs.cpio");
  const pipeline = `hvsh create -m 256M | hvsh kernel ${kernel} | hvsh initrd ${initrd} | ` +
    "hvsh cmdline quiet hvsh.do=poweroff | hvsh run --timeout 120";
  if (linux) return await show(pipeline);
  console.log("\nThis host's KVM cannot run Linux; an emulated machine with kvm_amd can:");
  return await show(
    `scripts/emulated-host sh -c '${pipeline.replaceAll("hvsh ", "scripts/hvsh ")}'`,
  );
}

if (import.meta.main) {
  if (await sh("hvsh doctor", "null") === 0) {
    const status = await show(`${printf(HELLO)} | hvsh run --flat -`);
    if (status !== 0) Deno.exit(status);
  } else {
    console.log("/dev/kvm does not work here; `scripts/hvsh doctor` says why and what to do");
  }
  Deno.exit(await boot());
}
