/**
 * Our declarations of the kernel's ABI against the kernel's own headers, as the C compiler reads
 * them: sizes, offsets and numbers.
 */
import assert from "node:assert/strict";
import { Errno } from "../ffi/errno.ts";
import { Exit } from "../ffi/kvm/exit.ts";
import * as fileStructs from "../ffi/file_structs.ts";
import { Capability, Ioctl } from "../ffi/kvm/ioctl.ts";
import { kvm_stats_desc, kvm_stats_header } from "../ffi/kvm/stats.ts";
import { kvm_guest_debug } from "../ffi/kvm/guest_debug.ts";
import * as kvmStructs from "../ffi/kvm/structs.ts";
import type { StructType } from "../ffi/struct.ts";
import * as userfaultfd from "../ffi/userfaultfd.ts";
import { findProgram } from "../scripts/setup/find_program.ts";
import { BootE820Entry, BootParams } from "../vmm/boot/boot_params.ts";
import * as init from "../vmm/boot/guest_init/syscalls.ts";
import { SetupHeader } from "../vmm/boot/setup_header.ts";
import * as fuseMessages from "../vmm/fuse/messages.ts";
import { Fattr, Fopen, InitFlag, Opcode } from "../vmm/fuse/protocol.ts";

// deno-lint-ignore no-explicit-any -- any layout at all
type AnyStruct = StructType<any>;

const { RunOffset, ...kvmTypes } = kvmStructs;
const STRUCTS: readonly AnyStruct[] = [
  ...Object.values(kvmTypes) as AnyStruct[],
  kvm_guest_debug,
  kvm_stats_header,
  kvm_stats_desc,
  BootParams,
  BootE820Entry,
  SetupHeader,
  fileStructs.statx_timestamp,
  fileStructs.statx,
  fileStructs.open_how,
  fileStructs.statfs,
  fileStructs.dirent64,
  userfaultfd.uffdio_api,
  userfaultfd.uffdio_range,
  userfaultfd.uffdio_register,
  userfaultfd.uffdio_copy,
  userfaultfd.uffdio_zeropage,
  ...Object.values(fuseMessages),
];
/** Those of which we declare the start only. */
const STARTS: ReadonlySet<AnyStruct> = new Set([kvmTypes.kvm_run, fileStructs.dirent64]);
const { O, RESOLVE, AT, S, UTIME, RENAME, SEEK } = fileStructs;
const USERFAULT_NUMBERS = Object.fromEntries(
  Object.entries(userfaultfd.UserfaultIoctl).map(([name, value]) => [`UFFDIO_${name}`, value]),
);
const FILE_NUMBERS = {
  ...USERFAULT_NUMBERS,
  ...O,
  ...RESOLVE,
  ...AT,
  ...S,
  ...UTIME,
  ...RENAME,
  ...SEEK,
};

/** What a guest's first process is made of; `siginfo_t` is no struct, but has members. */
const { SIGINFO_BYTES, SI_CODE, SI_PID, SI_STATUS, ...waiting } = init.Wait;
const SIGINFO = { si_code: SI_CODE, si_pid: SI_PID, si_status: SI_STATUS };
const { CLONE_THREAD_FLAGS, AF_INET, SOCK_DGRAM, FUTEX_WAIT, SIGKILL } = init;
const INIT_NUMBERS = {
  ...{ ...waiting, ...init.Ioctl, AF_INET, SOCK_DGRAM, FUTEX_WAIT, SIGKILL },
  ...Object.fromEntries(Object.entries(init.Mount).map(([name, value]) => [`MS_${name}`, value])),
  ...Object.fromEntries(Object.entries(init.Open).map(([name, value]) => [`O_${name}`, value])),
};
const CLONE_FLAGS = "CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD|CLONE_SYSVSEM|" +
  "CLONE_PARENT_SETTID|CLONE_CHILD_CLEARTID";

const HEADERS = [
  "errno.h",
  "stddef.h",
  "stdio.h",
  "linux/kvm.h",
  "asm/bootparam.h",
  "dirent.h",
  "fcntl.h",
  "sys/stat.h",
  "sys/vfs.h",
  "unistd.h",
  "linux/openat2.h",
  "linux/fuse.h",
  "linux/futex.h",
  "linux/reboot.h",
  "linux/userfaultfd.h",
  "sched.h",
  "signal.h",
  "sys/ioctl.h",
  "sys/mount.h",
  "sys/socket.h",
  "sys/syscall.h",
  "sys/wait.h",
];
const compiler = findProgram("cc");
const required = Deno.env.get("HVSH_REQUIRE_KVM") === "1";

/** Padding has no meaning, and names of its own in each header. */
const isPadding = (name: string) => /^_?(pad|reserved)/.test(name);

/** What the header calls a field of ours: we have the structs inside of kvm_vcpu_events flat. */
function member(type: AnyStruct, field: string): string {
  // `offset` is a member of every struct of ours.
  if (field === "position") return "offset";
  if (field === "debugreg") return "arch.debugreg";
  if (type.structName !== "kvm_vcpu_events") return field;
  return field.replace(
    /^(exception|interrupt|nmi|smi|triple_fault)_(?!has_payload|payload)/,
    "$1.",
  );
}

/** A C program that prints a line `name value` for everything to compare. */
function program(): string {
  const print = (name: string, expression: string) =>
    `printf("%s %llu\\n", "${name}", (unsigned long long)(${expression}));`;
  // A header older than ours lacks the newest names; what it has is compared.
  const constants = (prefix: string, table: Readonly<Record<string, number>>) =>
    Object.keys(table).flatMap((name) => {
      const macro = prefix + name;
      return [`#ifdef ${macro}`, print(macro, macro), "#endif"];
    });
  const layouts = STRUCTS.flatMap((type) => [
    ...(STARTS.has(type)
      ? []
      : [print(`sizeof ${type.structName}`, `sizeof(struct ${type.structName})`)]),
    ...Object.keys(type.offsets).filter((field) => !isPadding(field)).map((field) =>
      print(
        `${type.structName}.${field}`,
        `offsetof(struct ${type.structName}, ${member(type, field)})`,
      )
    ),
  ]);
  const run = Object.keys(RunOffset).map((field) =>
    print(`RunOffset.${field}`, `offsetof(struct kvm_run, ${field})`)
  );
  return [
    "#define _GNU_SOURCE",
    ...HEADERS.map((header) => `#include <${header}>`),
    "int main(void) {",
    ...layouts,
    ...run,
    ...constants("KVM_", Ioctl),
    ...constants("KVM_CAP_", Capability),
    ...constants("KVM_EXIT_", Exit),
    ...constants("", Errno),
    ...constants("", FILE_NUMBERS),
    ...Object.keys(Opcode).map((name) => print(`FUSE_${name}`, `FUSE_${name}`)), // an enum
    ...constants("FUSE_", InitFlag),
    ...constants("FATTR_", Fattr),
    ...constants("FOPEN_", Fopen),
    ...constants("SYS_", init.Sys),
    ...constants("", INIT_NUMBERS),
    ...constants("LINUX_REBOOT_", init.Reboot),
    ...["P_ALL", "CLD_EXITED"].map((name) => print(name, name)), // enums
    print("CLONE_THREAD_FLAGS", CLONE_FLAGS),
    print("sizeof siginfo_t", "sizeof(siginfo_t)"),
    ...Object.keys(SIGINFO).map((name) =>
      print(`siginfo_t.${name}`, `offsetof(siginfo_t, ${name})`)
    ),
    "return 0; }",
  ].join("\n");
}

/** Our own values under the names of {@linkcode program}. */
function ours(): Map<string, number> {
  const named = (prefix: string, table: Readonly<Record<string, number>>) =>
    Object.entries(table).map(([name, value]) => [prefix + name, value] as const);
  return new Map([
    ...STRUCTS.flatMap((type) => [
      [`sizeof ${type.structName}`, type.size] as const,
      ...named(`${type.structName}.`, type.offsets as Record<string, number>),
    ]),
    ...named("RunOffset.", RunOffset),
    ...named("KVM_", Ioctl),
    ...named("KVM_CAP_", Capability),
    ...named("KVM_EXIT_", Exit),
    ...named("", Errno),
    ...named("", FILE_NUMBERS),
    ...named("FUSE_", Opcode),
    ...named("FUSE_", InitFlag),
    ...named("FATTR_", Fattr),
    ...named("FOPEN_", Fopen),
    ...named("SYS_", init.Sys),
    ...named("", INIT_NUMBERS),
    ...named("LINUX_REBOOT_", init.Reboot),
    ["CLONE_THREAD_FLAGS", CLONE_THREAD_FLAGS],
    ["sizeof siginfo_t", SIGINFO_BYTES],
    ...named("siginfo_t.", SIGINFO),
  ]);
}

/** What the compiler makes of the program. */
async function theirs(): Promise<Map<string, number>> {
  const folder = await Deno.makeTempDir({ prefix: "hvsh-test-" });
  try {
    await Deno.writeTextFile(`${folder}/layout.c`, program());
    const run = async (command: string, ...args: string[]) => {
      const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
      assert.equal(code, 0, `${command}: ${new TextDecoder().decode(stderr)}`);
      return new TextDecoder().decode(stdout);
    };
    await run(compiler!, "-o", `${folder}/layout`, `${folder}/layout.c`);
    const lines = (await run(`${folder}/layout`)).trim().split("\n");
    return new Map(lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: "sizes, offsets and numbers of the kernel's ABI are those of the C headers",
  ignore: compiler === undefined && !required,
  async fn() {
    assert.ok(compiler, "There is no C compiler: install gcc and linux-libc-dev");
    const expected = await theirs();
    const found = ours();
    const wrong = [...expected].filter(([name, value]) => found.get(name) !== value)
      .map(([name, value]) => `${name} is ${value}, not ${found.get(name)}`);
    assert.deepEqual(wrong, []);
    assert.ok(expected.size > 200, `only ${expected.size} values were compared`);
  },
});
