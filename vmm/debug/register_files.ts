/**
 * All registers of a vCPU by name: general, segments and tables, control, debug, FPU and vector
 * registers, XCRs, MSRs, the local APIC, pending events and the multiprocessing state.
 *
 * @module
 */
import { HostError, VmError } from "../../ffi/errors.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { nearestWord } from "../nearest_word.ts";
import { type AreaRegister, readRegister, registerBits, writeRegister } from "./area_register.ts";
import { msrIndex, msrName } from "./msr_names.ts";
import { lastAreas, type RegisterArea, registerAreas } from "./register_areas.ts";

/** The groups, in the order in which they are shown. */
export const registerGroups = [
  "general",
  "segment",
  "control",
  "debug",
  "fpu",
  "sse",
  "avx",
  "avx512",
  "xcr",
  "msr",
  "lapic",
  "event",
  "mp",
] as const;

/** A group of registers. */
export type RegisterGroup = typeof registerGroups[number];

/** Values by name, unsigned. */
export type RegisterValues = Readonly<Record<string, bigint>>;

/** Which MSRs KVM lists is the host's, and stays. */
let listedMsrs: readonly number[] | undefined;

/** The registers of a vCPU that does not run. Its ioctls are made as they are asked for. */
export class RegisterFiles {
  readonly #vcpu: Vcpu;
  readonly #areas: readonly RegisterArea[];
  /** How many areas are written before the MSRs. */
  readonly #first: number;
  readonly #places = new Map<string, { area: RegisterArea; register: AreaRegister }>();

  /**
   * @param vcpu The vCPU, which must stand still for as long as this is used
   */
  constructor(vcpu: Vcpu) {
    this.#vcpu = vcpu;
    const first = registerAreas(vcpu);
    this.#first = first.length;
    this.#areas = [...first, ...lastAreas(vcpu)];
    for (const area of this.#areas) {
      for (const register of Object.values(area.groups).flat()) {
        this.#places.set(register.name, { area, register });
      }
    }
  }

  /**
   * The names of a group's registers.
   *
   * @param group The group
   * @returns The names; none if this CPU or its VM has no such registers
   */
  names(group: RegisterGroup): string[] {
    if (group === "msr") return msrs().map(msrName);
    return this.#areas.flatMap(({ groups }) => groups[group] ?? []).map(({ name }) => name);
  }

  /**
   * Reads a register.
   *
   * @param name Its name: `rip`, `cs.base`, `xmm0`, `lstar`, `msr_0xc0010015`, `lapic.tpr`
   * @returns Its value, unsigned
   * @throws {VmError} If there is no such register
   */
  get(name: string): bigint {
    return this.read([name])[name]!;
  }

  /**
   * Reads registers, each area once.
   *
   * @param names Their names
   * @returns Values by name, in the same order; MSRs that KVM refuses to read are left out of groups
   * @throws {VmError} If there is no such register
   */
  read(names: Iterable<string>): RegisterValues {
    const loaded = new Map<RegisterArea, Uint8Array>();
    const values: Record<string, bigint> = {};
    const wanted = [...names];
    const indices = wanted.flatMap((name) => this.#places.has(name) ? [] : msrIndex(name) ?? []);
    const found = indices.length > 0 ? this.#vcpu.getMsrs(indices) : new Map<number, bigint>();
    for (const name of wanted) {
      const place = this.#places.get(name);
      if (place !== undefined) {
        const { area, register } = place;
        if (!loaded.has(area)) loaded.set(area, area.load());
        values[name] = readRegister(loaded.get(area)!, register);
        continue;
      }
      const value = found.get(this.#requireMsr(name));
      if (value !== undefined) values[name] = value;
      else if (wanted.length === 1) throw new VmError(`KVM does not let the MSR ${name} be read`);
    }
    return values;
  }

  /**
   * Reads groups.
   *
   * @param groups Which; all if left out
   * @returns Values by name
   */
  readGroups(groups: readonly RegisterGroup[] = registerGroups): RegisterValues {
    return this.read(groups.flatMap((group) => this.names(group)));
  }

  /**
   * Writes a register.
   *
   * @param name Its name
   * @param value Its value, unsigned
   * @throws {VmError} If there is no such register, or KVM refuses the value
   */
  set(name: string, value: bigint): void {
    this.write({ [name]: value });
  }

  /**
   * Writes registers: all of them, or none.
   *
   * @param values Values by name, unsigned
   * @throws {VmError} If there is no such register, a value is too wide, or KVM refuses one
   */
  write(values: RegisterValues): void {
    const changes = new Map<RegisterArea, AreaRegister[]>();
    const msrs: [index: number, value: bigint][] = [];
    for (const [name, value] of Object.entries(values)) {
      const place = this.#places.get(name);
      const bits = place === undefined ? 64 : registerBits(place.register);
      if (place === undefined) msrs.push([this.#requireMsr(name), value]);
      else changes.set(place.area, [...changes.get(place.area) ?? [], place.register]);
      if (value < 0n || value >> BigInt(bits) !== 0n) {
        throw new VmError(`0x${value.toString(16)} does not fit into ${name}: it has ${bits} bits`);
      }
    }
    const undo: (() => void)[] = [];
    try {
      for (const [i, area] of this.#areas.entries()) {
        if (i === this.#first) this.#writeMsrs(msrs, undo);
        const changed = changes.get(area);
        if (changed === undefined) continue;
        const before = area.load();
        const after = before.slice();
        for (const register of changed) writeRegister(after, register, values[register.name]!);
        undo.push(() => area.store(before, changed));
        this.#store(area, after, changed);
      }
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
  }

  #store(area: RegisterArea, bytes: Uint8Array<ArrayBuffer>, changed: AreaRegister[]): void {
    try {
      area.store(bytes, changed);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      const names = changed.map(({ name }) => name).join(", ");
      throw new VmError(`KVM refuses ${names} (${error.message}); nothing was changed`, {
        cause: error,
        hint: `it takes the ${area.name} together, and only such as a CPU can have`,
      });
    }
  }

  #writeMsrs(values: readonly [number, bigint][], undo: (() => void)[]): void {
    if (values.length === 0) return;
    const before = this.#vcpu.getMsrs(values.map(([index]) => index));
    undo.push(() => this.#vcpu.setMsrs(before));
    const refused = this.#vcpu.setMsrs(values);
    if (refused.length === 0) return;
    throw new VmError(`KVM refuses ${refused.map(msrName).join(", ")}; nothing was changed`);
  }

  #requireMsr(name: string): number {
    const index = msrIndex(name);
    if (index !== undefined) return index;
    const known = [...this.#places.keys(), ...msrs().map(msrName)];
    const near = nearestWord(name, known);
    throw new VmError(`There is no register "${name}"`, {
      hint: near === undefined ? "`hvsh regs NAME all` shows all of them" : `did you mean ${near}?`,
    });
  }
}

function msrs(): readonly number[] {
  if (listedMsrs === undefined) {
    using kvm = new Kvm();
    listedMsrs = kvm.msrIndices();
  }
  return listedMsrs;
}

/**
 * Values as JSON has them.
 *
 * @param values Values by name
 * @returns Each as `"0x…"`
 */
export function registersToJson(values: RegisterValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, `0x${value.toString(16)}`]),
  );
}

/**
 * Values from JSON, or from words.
 *
 * @param json Each as `"0x…"`, decimal text, or a whole number
 * @returns Values by name
 * @throws {VmError} Naming the register whose value it is not
 */
export function registersFromJson(json: Readonly<Record<string, unknown>>): RegisterValues {
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => {
      const text = typeof value === "number" && Number.isSafeInteger(value) ? `${value}` : value;
      if (typeof text !== "string" || !/^(0x[0-9a-f]+|\d+)$/i.test(text)) {
        throw new VmError(`${name}: ${JSON.stringify(value)} is not a register's value`, {
          hint: "write it as 0x1000 or 4096",
        });
      }
      return [name, BigInt(text)];
    }),
  );
}
