/**
 * The breakpoints and watchpoints of a VM, and how they lie in the four debug registers.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Condition } from "./condition.ts";
import type { DebugAbilities } from "./debug_probe.ts";

/** What a breakpoint waits for: an instruction, a write, or a read or write. */
export type BreakpointKind = "execute" | "write" | "access";

/** What to stop at. */
export interface BreakpointRequest {
  /** What it waits for. */
  readonly kind: BreakpointKind;
  /** Linear address; a guest-physical one with `physical`. */
  readonly address: bigint;
  /** Bytes that are watched: 1, 2, 4 or 8. Default 1. */
  readonly length?: number;
  /** A debug register or a trap in the guest's code. By default a register while one is free. */
  readonly how?: "hardware" | "software";
  /** The address is guest-physical: for a trap only. */
  readonly physical?: boolean;
  /** It stops only where this is not 0. */
  readonly condition?: Condition;
  /** Whose it is: a client that leaves takes its own away. */
  readonly owner?: unknown;
}

/** A breakpoint that is set. */
export interface Breakpoint extends BreakpointRequest {
  /** Its number, from 1; never given again. */
  readonly id: number;
  readonly length: number;
  readonly how: "hardware" | "software";
  /** Where the bytes of its trap go, guest-physical; for software. */
  readonly patch?: readonly number[];
  /** How often it has stopped the VM. */
  hits: number;
}

/** Debug registers that hold addresses (SDM vol. 3, 17.2.1). */
export const SLOTS = 4;
const LENGTHS: ReadonlyMap<number, bigint> = new Map([[1, 0n], [2, 1n], [4, 3n], [8, 2n]]);
/** R/W fields of DR7 (SDM vol. 3, 17.2.4). */
const ACCESS: Readonly<Record<BreakpointKind, bigint>> = { execute: 0n, write: 1n, access: 3n };
/** GE, and bit 10 that is always set. */
const DR7_FIXED = 0x600n;
/** More than a person or a debugger sets; each trap is put in and out whenever the VM stands. */
const MOST = 1024;

/** The breakpoints of a VM. */
export class BreakpointTable {
  readonly #abilities: DebugAbilities;
  readonly #breakpoints: Breakpoint[] = [];
  #last = 0;

  /** All of them, by number. */
  get all(): readonly Breakpoint[] {
    return this.#breakpoints;
  }

  /**
   * @param abilities What the host's KVM tells of
   */
  constructor(abilities: DebugAbilities) {
    this.#abilities = abilities;
  }

  /**
   * Sets one.
   *
   * @param request What to stop at
   * @param place Where a trap's bytes would go now, guest-physical
   * @returns The breakpoint
   * @throws {VmError} If a CPU can't watch that, or no register is left for it
   */
  add(
    request: BreakpointRequest,
    place: (request: BreakpointRequest) => readonly number[],
  ): Breakpoint {
    const { kind, address, length = 1, physical = false } = request;
    requireWatchable(kind, address, length);
    if (this.#breakpoints.length >= MOST) throw new VmError(`The VM has ${MOST} breakpoints`);
    const shared = { ...request, length, id: this.#last + 1, hits: 0 };
    const how = this.#choose(shared, physical);
    const added: Breakpoint = how === "hardware"
      ? { ...shared, how }
      : { ...shared, how, patch: this.#apart(place(request)) };
    this.#last++;
    this.#breakpoints.push(added);
    return added;
  }

  #choose(
    wanted: Omit<Breakpoint, "how"> & BreakpointRequest,
    physical: boolean,
  ): Breakpoint["how"] {
    const { kind, how } = wanted;
    const code = kind === "execute";
    if (physical && (!code || how === "hardware")) {
      throw new VmError("A debug register holds a linear address, not a physical one");
    }
    if (!code && how === "software") throw new VmError("A trap in the code does not watch data");
    const able = code ? this.#abilities.executes : this.#abilities.writes;
    const insists = !code || how === "hardware";
    if (insists && !able) {
      const what = code ? "an instruction" : "data";
      throw new VmError(`This host's KVM does not tell when ${what} in a debug register is met`);
    }
    if (physical || how === "software" || !able) return "software";
    if (this.#hasRoom(wanted)) return "hardware";
    if (!insists) return "software";
    throw new VmError(`A CPU has ${SLOTS} debug registers, and all are taken`, {
      hint: "`hvsh break VM` lists them, and --delete N frees one",
    });
  }

  /** Traps of several bytes must not lie over one another, unless they are the same. */
  #apart(patch: readonly number[]): readonly number[] {
    for (const { patch: other, id } of this.#breakpoints) {
      if (other === undefined || other[0] === patch[0]) continue;
      if (other.some((byte) => patch.includes(byte))) {
        throw new VmError(`It would lie over breakpoint ${id}, whose trap has several bytes`);
      }
    }
    return patch;
  }

  /**
   * Removes some.
   *
   * @param which Tells which
   * @returns How many
   */
  remove(which: (breakpoint: Breakpoint) => boolean): number {
    const before = this.#breakpoints.length;
    const kept = this.#breakpoints.filter((breakpoint) => !which(breakpoint));
    this.#breakpoints.splice(0, before, ...kept);
    return before - kept.length;
  }

  /** Where the bytes of each trap go, guest-physical. */
  get patches(): (readonly number[])[] {
    return this.#breakpoints.flatMap(({ patch }) => patch === undefined ? [] : [patch]);
  }

  /**
   * What each debug register holds: equal breakpoints share one.
   *
   * @param watchOnly Leave out those that wait for an instruction
   * @returns At most {@linkcode SLOTS}
   */
  slots(watchOnly = false): Breakpoint[] {
    const slots: Breakpoint[] = [];
    for (const breakpoint of this.#breakpoints) {
      if (breakpoint.how !== "hardware" || (watchOnly && breakpoint.kind === "execute")) continue;
      if (!slots.some((other) => sameSlot(other, breakpoint))) slots.push(breakpoint);
    }
    return slots;
  }

  /** Those that a register stands for. */
  sharing(slot: Breakpoint): Breakpoint[] {
    return this.#breakpoints.filter((b) => b.how === "hardware" && sameSlot(slot, b));
  }

  #hasRoom(wanted: Pick<Breakpoint, "kind" | "address" | "length">): boolean {
    const slots = this.slots();
    return slots.length < SLOTS || slots.some((slot) => sameSlot(slot, wanted));
  }
}

type SlotContent = Pick<Breakpoint, "kind" | "address" | "length">;

function sameSlot(a: SlotContent, b: SlotContent): boolean {
  return a.kind === b.kind && a.address === b.address && a.length === b.length;
}

function requireWatchable(kind: BreakpointKind, address: bigint, length: number): void {
  if (kind === "execute" && length !== 1) {
    throw new VmError("An instruction is watched by length 1");
  }
  if (!LENGTHS.has(length)) throw new VmError(`A CPU watches 1, 2, 4 or 8 bytes, not ${length}`);
  if (address % BigInt(length) !== 0n) {
    throw new VmError(
      `0x${address.toString(16)} is not a multiple of ${length}: a CPU watches aligned bytes only`,
    );
  }
}

/**
 * Packs breakpoints into debug registers.
 *
 * @param slots At most {@linkcode SLOTS}
 * @returns DR0 to DR7
 */
export function packDebugRegisters(slots: readonly Breakpoint[]): bigint[] {
  const registers = Array<bigint>(8).fill(0n);
  let dr7 = DR7_FIXED;
  for (const [i, { kind, address, length }] of slots.entries()) {
    registers[i] = address;
    dr7 |= 2n << BigInt(2 * i); // G0 to G3
    dr7 |= (ACCESS[kind] | LENGTHS.get(length)! << 2n) << BigInt(16 + 4 * i);
  }
  registers[7] = dr7;
  return registers;
}
