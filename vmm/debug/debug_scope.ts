/**
 * The registers and the memory of a vCPU that stands, as conditions name them.
 *
 * @module
 */
import { kvm_regs } from "../../ffi/kvm/structs.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import type { ConditionScope } from "./condition.ts";
import type { PhysicalMemory } from "./physical_memory.ts";
import { VirtualMemory } from "./virtual_memory.ts";

const LONG = Object.keys(kvm_regs.offsets) as (keyof typeof kvm_regs.offsets)[];
const SEGMENTS = ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"] as const;
const CONTROL = ["cr0", "cr2", "cr3", "cr4", "cr8", "efer"] as const;

/** What part of a general register a name stands for. */
interface Part {
  readonly of: typeof LONG[number];
  readonly shift: bigint;
  readonly bits: number;
}

const PARTS: ReadonlyMap<string, Part> = new Map(parts());

function* parts(): Generator<[string, Part]> {
  const part = (name: string, of: Part["of"], bits: number, shift = 0n): [string, Part] => [
    name,
    { of, bits, shift },
  ];
  for (const name of LONG) yield part(name, name, 64);
  for (const letter of "abcd") {
    const of = `r${letter}x` as Part["of"];
    yield part(`e${letter}x`, of, 32);
    yield part(`${letter}x`, of, 16);
    yield part(`${letter}l`, of, 8);
    yield part(`${letter}h`, of, 8, 8n);
  }
  for (const name of ["si", "di", "sp", "bp", "ip"]) {
    yield part(`e${name}`, `r${name}` as Part["of"], 32);
    yield part(name, `r${name}` as Part["of"], 16);
  }
  for (let i = 8; i < 16; i++) {
    yield part(`r${i}d`, `r${i}` as Part["of"], 32);
    yield part(`r${i}w`, `r${i}` as Part["of"], 16);
    yield part(`r${i}b`, `r${i}` as Part["of"], 8);
  }
  yield part("eflags", "rflags", 32);
}

const SYSTEM: ReadonlySet<string> = new Set<string>([...SEGMENTS, ...CONTROL]);

/** The names of all these registers, parts of them too. */
export const registerNames: readonly string[] = [...PARTS.keys(), ...SYSTEM];

/**
 * Whether a name is a register's.
 *
 * @param name `rax`, `eax`, `cs`, `cr3`…, in small letters
 */
export function isRegister(name: string): boolean {
  return PARTS.has(name) || SYSTEM.has(name);
}

/** A vCPU as a condition sees it. */
export class DebugScope implements ConditionScope {
  readonly #vcpu: Vcpu;
  readonly #physical: PhysicalMemory;
  #regs: ReturnType<Vcpu["getRegs"]> | undefined;
  #sregs: ReturnType<Vcpu["getSregs"]> | undefined;

  /**
   * @param vcpu The vCPU; it stands as long as this is used
   * @param physical The VM's memory
   */
  constructor(vcpu: Vcpu, physical: PhysicalMemory) {
    this.#vcpu = vcpu;
    this.#physical = physical;
  }

  register(name: string): bigint | undefined {
    const part = PARTS.get(name);
    if (part !== undefined) {
      this.#regs ??= this.#vcpu.getRegs();
      return BigInt.asUintN(part.bits, this.#regs[part.of] >> part.shift);
    }
    if (!SYSTEM.has(name)) return undefined;
    this.#sregs ??= this.#vcpu.getSregs();
    const value = this.#sregs[name as typeof SEGMENTS[number] | typeof CONTROL[number]];
    return typeof value === "bigint" ? value : BigInt(value.selector);
  }

  memory(address: bigint, bytes: number): bigint {
    const buffer = new Uint8Array(8);
    this.#sregs ??= this.#vcpu.getSregs();
    new VirtualMemory(this.#physical, this.#sregs).read(address, buffer.subarray(0, bytes));
    return new DataView(buffer.buffer).getBigUint64(0, true);
  }
}
