/**
 * The registers that GDB is told of, by GDB's names, in the order of their numbers (GDB manual, G.5.4
 * "i386 Features"), and where a vCPU has them.
 *
 * @module
 */
import type { RegisterFiles } from "../register_files.ts";

/** How GDB sees a VM: by its CPU's widest mode, whatever mode that is in now. */
export type TargetArchitecture = "i386:x86-64" | "i386";

/** A register as GDB knows it. */
export interface TargetRegister {
  readonly name: string;
  readonly bits: number;
  /** Its type in the target description. */
  readonly type: string;
  readonly group?: string;
  /** The vCPU's registers that it is made of. */
  readonly of: readonly string[];
  /** Its value out of theirs. */
  read(values: readonly bigint[]): bigint;
  /** Theirs out of its new value and their old ones. */
  write(value: bigint, values: readonly bigint[]): bigint[];
}

/** A feature of a target description. */
export interface TargetFeature {
  readonly name: string;
  readonly registers: readonly TargetRegister[];
}

/** A register that is a vCPU's own. */
function plain(
  name: string,
  bits: number,
  type: string,
  more: { of?: string; group?: string } = {},
): TargetRegister {
  const { of = name, group } = more;
  return {
    name,
    bits,
    type,
    ...(group === undefined ? {} : { group }),
    of: [of],
    read: ([value]) => BigInt.asUintN(bits, value!),
    // The high half of what GDB sees only the low half of stays.
    write: (value, [old]) => [(old! >> BigInt(bits)) << BigInt(bits) | value],
  };
}

const SEGMENTS = ["cs", "ss", "ds", "es", "fs", "gs"] as const;
const LONG = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"]
  .concat(Array.from({ length: 8 }, (_, i) => `r${i + 8}`));
const SHORT = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];

function core(long: boolean): TargetRegister[] {
  const type = (name: string) =>
    /[bs]p$/.test(name) && long
      ? "data_ptr"
      : long
      ? "int64"
      : /[bs]p$/.test(name)
      ? "data_ptr"
      : "int32";
  const general = long
    ? LONG.map((name) => plain(name, 64, type(name)))
    : SHORT.map((name) => plain(`e${name}`, 32, type(name), { of: `r${name}` }));
  return [
    ...general,
    long ? plain("rip", 64, "code_ptr") : plain("eip", 32, "code_ptr", { of: "rip" }),
    plain("eflags", 32, "i386_eflags", { of: "rflags" }),
    ...SEGMENTS.map((name) => segment(name)),
    ...Array.from({ length: 8 }, (_, i) => plain(`st${i}`, 80, "i387_ext")),
    ...floatControl(),
  ];
}

/** GDB has 32 bits for a selector. */
function segment(name: string): TargetRegister {
  return { ...plain(name, 32, "int32"), write: (value) => [value & 0xffffn] };
}

function floatControl(): TargetRegister[] {
  const float = (name: string, of: string, bits: number, shift = 0n): TargetRegister => {
    const mask = (1n << BigInt(bits)) - 1n;
    return {
      name,
      bits: 32,
      type: "int",
      group: "float",
      of: [of],
      read: ([value]) => (value! >> shift) & mask,
      write: (value, [old]) => [(old! & ~(mask << shift)) | (value & mask) << shift],
    };
  };
  return [
    float("fctrl", "fcw", 16),
    float("fstat", "fsw", 16),
    tagWord(),
    float("fiseg", "fip", 16, 32n),
    float("fioff", "fip", 32),
    float("foseg", "fdp", 16, 32n),
    float("fooff", "fdp", 32),
    float("fop", "fop", 11),
  ];
}

/** FXSAVE has a bit a register; GDB wants the two of FSAVE (SDM vol. 1, 10.5.1.1). */
function tagWord(): TargetRegister {
  const stack = Array.from({ length: 8 }, (_, i) => `st${i}`);
  return {
    name: "ftag",
    bits: 32,
    type: "int",
    group: "float",
    of: ["ftw", "fsw", ...stack],
    read: ([abridged, status, ...registers]) => {
      const top = Number((status! >> 11n) & 7n);
      let tags = 0n;
      for (let i = 0; i < 8; i++) {
        const empty = (abridged! >> BigInt(i) & 1n) === 0n;
        const tag = empty ? 3n : tagOf(registers[(i - top + 8) % 8]!);
        tags |= tag << BigInt(2 * i);
      }
      return tags;
    },
    write: (value, [, ...rest]) => {
      let abridged = 0n;
      for (let i = 0n; i < 8n; i++) if ((value >> 2n * i & 3n) !== 3n) abridged |= 1n << i;
      return [abridged, ...rest];
    },
  };
}

/** Valid, zero or special. */
function tagOf(register: bigint): bigint {
  const exponent = register >> 64n & 0x7fffn;
  const integer = register >> 63n & 1n;
  if (exponent === 0n) return (register & (1n << 64n) - 1n) === 0n ? 1n : 2n;
  return exponent === 0x7fffn || integer === 0n ? 2n : 0n;
}

function highHalf(i: number): TargetRegister {
  const low = (1n << 128n) - 1n;
  return {
    name: `ymm${i}h`,
    bits: 128,
    type: "uint128",
    of: [`ymm${i}`],
    read: ([value]) => value! >> 128n,
    write: (value, [old]) => [(old! & low) | value << 128n],
  };
}

/**
 * The registers of a target.
 *
 * @param architecture What GDB is told it is
 * @param files Registers of one of its vCPUs, which say whether it has AVX
 * @returns Features in order; a register's number is its place among all of them
 */
export function targetFeatures(
  architecture: TargetArchitecture,
  files: RegisterFiles,
): TargetFeature[] {
  const long = architecture === "i386:x86-64";
  const vectors = Array.from({ length: long ? 16 : 8 }, (_, i) => i);
  const word = long ? 64 : 32;
  const system = ["cr0", "cr2", "cr3", "cr4", ...(long ? ["cr8"] : []), "efer"];
  const avx = files.names("avx").includes("ymm0");
  return [
    { name: "org.gnu.gdb.i386.core", registers: core(long) },
    {
      name: "org.gnu.gdb.i386.sse",
      registers: [
        ...vectors.map((i) => plain(`xmm${i}`, 128, "vec128")),
        plain("mxcsr", 32, "i386_mxcsr", { group: "vector" }),
      ],
    },
    ...(long
      ? [{
        name: "org.gnu.gdb.i386.segments",
        registers: ["fs", "gs"].map((name) =>
          plain(`${name}_base`, 64, "int64", { of: `${name}.base` })
        ),
      }]
      : []),
    ...(avx ? [{ name: "org.gnu.gdb.i386.avx", registers: vectors.map(highHalf) }] : []),
    {
      name: "hvsh.i386.system",
      registers: system.map((name) =>
        plain(name, name === "efer" ? 64 : word, name === "efer" ? "uint64" : `uint${word}`, {
          group: "system",
        })
      ),
    },
  ];
}
