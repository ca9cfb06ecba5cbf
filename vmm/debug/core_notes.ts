/**
 * The notes of an ELF core: a vCPU's registers as Linux dumps a thread's (`struct elf_prstatus`, `struct
 * user_i387_struct`), and as QEMU dumps a CPU's (`QEMUCPUState` of its target/i386/arch_dump.c), which the
 * crash utility takes for the registers of a guest.
 *
 * @module
 */
import { struct, u32, u64 } from "../../ffi/struct.ts";
import { joinBytes } from "./join_bytes.ts";
import type { RegisterValues } from "./register_files.ts";

const NT_PRSTATUS = 1;
const NT_FPREGSET = 2;
const PRSTATUS_BYTES = 336;
const PR_PID = 32;
const PR_REG = 112;
/** The order of `struct user_regs_struct`. */
const USER_REGS = [
  "r15",
  "r14",
  "r13",
  "r12",
  "rbp",
  "rbx",
  "r11",
  "r10",
  "r9",
  "r8",
  "rax",
  "rcx",
  "rdx",
  "rsi",
  "rdi",
  "orig_rax",
  "rip",
  "cs",
  "rflags",
  "rsp",
  "ss",
  "fs.base",
  "gs.base",
  "ds",
  "es",
  "fs",
  "gs",
] as const;
/** No system call: what a debugger would else try to restart. */
const NO_SYSTEM_CALL = 2n ** 64n - 1n;

const QemuSegment = struct("QEMUCPUSegment", {
  selector: u32,
  limit: u32,
  flags: u32,
  pad: u32,
  base: u64,
});
const GENERAL = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp"] as const;
const QEMU_REGS = [
  ...GENERAL,
  ...Array.from({ length: 8 }, (_, i) => `r${8 + i}`),
  "rip",
  "rflags",
];
const QEMU_SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt"] as const;
const QEMU_VERSION = 1;
const QEMU_CONTROL = ["cr0", "", "cr2", "cr3", "cr4", "kernel_gs_base"] as const;

/** The registers that notes are made of, by {@linkcode RegisterFiles}' names. */
export const NOTE_REGISTERS: readonly string[] = [
  "general",
  "segment",
  "control",
  "fpu",
  "sse",
  "kernel_gs_base",
];

/**
 * The notes of one vCPU.
 *
 * @param cpu Its number
 * @param registers Its registers
 * @returns PT_NOTE's content for it
 */
export function vcpuNotes(cpu: number, registers: RegisterValues): Uint8Array<ArrayBuffer> {
  return joinBytes([
    note("CORE", NT_PRSTATUS, prstatus(cpu, registers)),
    note("CORE", NT_FPREGSET, fpregset(registers)),
    note("QEMU", 0, qemuState(registers)),
  ]);
}

function prstatus(cpu: number, registers: RegisterValues): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PRSTATUS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(PR_PID, cpu + 1, true); // 0 would be no thread to gdb
  USER_REGS.forEach((name, i) => {
    const value = name === "orig_rax" ? NO_SYSTEM_CALL : registers[name] ?? 0n;
    view.setBigUint64(PR_REG + 8 * i, value, true);
  });
  return bytes;
}

/** The FXSAVE area of 64-bit mode (SDM vol. 1, table 10-2). */
function fpregset(registers: RegisterValues): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(512);
  const put = (at: number, size: number, value = 0n) => {
    for (let i = 0; i < size; i++) bytes[at + i] = Number((value >> BigInt(8 * i)) & 0xffn);
  };
  const r = registers;
  const head = [[0, 2, "fcw"], [2, 2, "fsw"], [4, 1, "ftw"], [6, 2, "fop"], [8, 8, "fip"], [
    16,
    8,
    "fdp",
  ], [24, 4, "mxcsr"]] as const;
  for (const [at, size, name] of head) put(at, size, r[name]);
  for (let i = 0; i < 8; i++) put(32 + 16 * i, 10, r[`st${i}`]);
  for (let i = 0; i < 16; i++) put(160 + 16 * i, 16, r[`xmm${i}`]);
  return bytes;
}

function qemuState(registers: RegisterValues): Uint8Array<ArrayBuffer> {
  const segments = 8 + 8 * QEMU_REGS.length;
  const control = segments + QEMU_SEGMENTS.length * QemuSegment.size;
  const bytes = new Uint8Array(control + 8 * QEMU_CONTROL.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, QEMU_VERSION, true);
  view.setUint32(4, bytes.length, true);
  QEMU_REGS.forEach((name, i) => view.setBigUint64(8 + 8 * i, registers[name] ?? 0n, true));
  QEMU_SEGMENTS.forEach((name, i) => {
    const segment = new QemuSegment(view, segments + i * QemuSegment.size);
    segment.selector = Number(registers[name] ?? 0n);
    segment.limit = Number(registers[`${name}.limit`] ?? 0n);
    segment.base = registers[`${name}.base`] ?? 0n;
    segment.flags = segmentFlags(name, registers);
  });
  QEMU_CONTROL.forEach((name, i) =>
    view.setBigUint64(control + 8 * i, registers[name] ?? 0n, true)
  );
  return bytes;
}

/** A descriptor's second word without its parts of base and limit (SDM vol. 3, figure 3-8). */
function segmentFlags(name: string, registers: RegisterValues): number {
  const bits = [["type", 8], ["s", 12], ["dpl", 13], ["present", 15], ["avl", 20], ["l", 21], [
    "db",
    22,
  ], ["g", 23]] as const;
  return bits.reduce(
    (flags, [field, shift]) => flags | Number(registers[`${name}.${field}`] ?? 0n) << shift,
    0,
  ) >>> 0;
}

/** `Elf64_Nhdr`, name and description, each filled up to a multiple of 4. */
function note(name: string, type: number, description: Uint8Array): Uint8Array<ArrayBuffer> {
  const named = new TextEncoder().encode(`${name}\0`);
  const padded = Math.ceil(named.length / 4) * 4;
  const bytes = new Uint8Array(12 + padded + Math.ceil(description.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, named.length, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  bytes.set(named, 12);
  bytes.set(description, 12 + padded);
  return bytes;
}
