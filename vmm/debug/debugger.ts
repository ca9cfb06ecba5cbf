/**
 * Breakpoints, watchpoints and single steps of one VM.
 *
 * A vCPU that meets one leaves KVM_RUN with KVM_EXIT_DEBUG, marks itself in the arena and stands until
 * the main thread has looked. That holds the others too, asks the breakpoint's condition, and then the
 * whole VM is paused, or goes on as if nothing had been. A breakpoint under a vCPU that goes on is passed
 * by a single step with the others standing and all traps out.
 *
 * @module
 */
import { GuestError, VmError } from "../../ffi/errors.ts";
import { GuestDebug, setGuestDebug } from "../../ffi/kvm/guest_debug.ts";
import type { Vcpu } from "../../ffi/kvm/vcpu.ts";
import { DebugStopKind } from "../arena.ts";
import type { GuestMemory } from "../guest_memory.ts";
import {
  type Breakpoint,
  type BreakpointRequest,
  BreakpointTable,
  packDebugRegisters,
} from "./breakpoint_table.ts";
import { CodePlaces } from "./code_places.ts";
import { CodePatches, INT3, OUT_TRAP, type TrapByte } from "./code_patches.ts";
import type { DebugStop } from "./debug_stop.ts";
import { Dr6, linearPc, readDebugExit, Vector } from "./debug_exit.ts";
import type { DebugAbilities } from "./debug_probe.ts";
import { DebugScope } from "./debug_scope.ts";
import { OwnMemory } from "./physical_memory.ts";
import { singleStep, type SteppedMachine } from "./single_step.ts";

/** A machine as its debugger sees it. */
export interface Debuggee extends SteppedMachine {
  readonly vcpus: readonly Vcpu[];
  readonly memory: GuestMemory;
  /** What the host's KVM tells of. */
  readonly abilities: DebugAbilities;
  /**
   * Where a linear address will lie that is not mapped yet, if that is known: a kernel's own code
   * before it has made its page tables.
   */
  futurePlace(linear: bigint): number | undefined;
  /** What the machine does. */
  state(): "created" | "running" | "paused" | "ended";
  /** Holds every vCPU while something is done, one after the other. */
  inspect<T>(work: () => T | Promise<T>): Promise<T>;
  /**
   * Takes its disks back from copies, before a vCPU runs that was paused.
   *
   * @throws {VmError} If they still use one
   */
  reclaim(): void;
  /** The debugger has stopped it: it is paused. */
  stopped(stop: DebugStop): void;
  /** The debugger has failed. */
  failed(error: unknown): void;
}

const DEAD_STATES: ReadonlySet<number> = new Set([1, 2, 4]); // KVM_MP_STATE_*: waits for INIT or SIPI

/** The debugger of one machine. */
export class Debugger {
  readonly #machine: Debuggee;
  readonly #table: BreakpointTable;
  readonly #patches: CodePatches;
  readonly #code: CodePlaces;
  readonly #physical: OwnMemory;
  /** Where each vCPU stands at a breakpoint that it is to pass. */
  readonly #pass = new Map<number, bigint>();
  /** The vCPU whose stop was told last: the others come first next time. */
  #lastStopped = -1;
  #busy = false;

  /**
   * @param machine The machine
   */
  constructor(machine: Debuggee) {
    this.#machine = machine;
    this.#table = new BreakpointTable(machine.abilities);
    this.#patches = new CodePatches(machine.memory, machine.abilities.int3 ? INT3 : OUT_TRAP);
    this.#physical = new OwnMemory(machine.memory);
    const { trap } = this.#patches;
    this.#code = new CodePlaces({
      ...{ vcpus: machine.vcpus, memory: machine.memory, table: this.#table, trap },
      futurePlace: (linear) => machine.futurePlace(linear),
    });
  }

  /** What is set, by number. */
  get breakpoints(): readonly Breakpoint[] {
    return this.#table.all;
  }

  /**
   * Sets a breakpoint or watchpoint.
   *
   * @param request What to stop at
   * @param cpu Whose page tables say where a linear address lies
   * @returns What was set
   * @throws {VmError} If the CPU can't watch that, or has no register left for it
   */
  async add(request: BreakpointRequest, cpu = 0): Promise<Breakpoint> {
    return await this.#machine.inspect(() => {
      const breakpoint = this.#table.add(request, (wanted) => this.#code.placeTrap(wanted, cpu));
      this.#arm();
      return breakpoint;
    });
  }

  /**
   * Takes breakpoints away.
   *
   * @param which Tells which
   * @returns How many there were
   */
  async remove(which: (breakpoint: Breakpoint) => boolean): Promise<number> {
    if (!this.#table.all.some(which)) return 0;
    return await this.#machine.inspect(() => {
      const count = this.#table.remove(which);
      this.#arm();
      return count;
    });
  }

  /**
   * Has one vCPU of a paused machine carry out one instruction; the others stand.
   *
   * @param cpu Its number
   * @param signal Ends the wait for an instruction that takes long, as one behind HLT does
   * @returns Why it stands now; undefined if it was interrupted or the VM has ended
   * @throws {VmError} If the machine is not paused, copies have its disks, or the vCPU has not been
   *   started by the guest
   */
  async step(cpu: number, signal?: AbortSignal): Promise<DebugStop | undefined> {
    return await this.#machine.inspect(async () => {
      if (this.#machine.state() !== "paused") {
        throw new VmError(`Cannot step a VM that is ${this.#machine.state()}`, {
          hint: "pause it first",
        });
      }
      const vcpu = this.vcpu(cpu);
      if (DEAD_STATES.has(vcpu.getMpState())) {
        throw new VmError(`vCPU ${cpu} waits until the guest starts it`);
      }
      this.#machine.reclaim();
      const kind = await this.#stepOne(cpu, signal);
      if (kind === 0) return undefined;
      const pc = linearPc(vcpu);
      this.#pass.set(cpu, pc);
      const watched = this.#hit(cpu, this.#triggered(cpu, kind, true), pc);
      const stop = watched ?? { reason: "step", cpu, pc } as const;
      this.#machine.stopped(stop);
      return stop;
    });
  }

  /**
   * A vCPU.
   *
   * @param cpu Its number
   * @throws {VmError} If there is none
   */
  vcpu(cpu: number): Vcpu {
    const vcpu = this.#machine.vcpus[cpu];
    if (vcpu === undefined) throw new VmError(`The VM has no vCPU ${cpu}`);
    return vcpu;
  }

  /** What is in the guest's code now, which is none of its own. */
  get traps(): TrapByte[] {
    return this.#patches.inserted;
  }

  /** Every vCPU stands: the guest's memory is its own again. */
  standing(): void {
    const { vcpus, arena } = this.#machine;
    for (const cpu of vcpus.keys()) {
      if (arena.debugStop(cpu) === DebugStopKind.TRAP) this.#rewind(cpu);
    }
    this.#patches.lift();
  }

  /** The guest's own instruction at a trap has not been carried out; nobody is to see it passed. */
  #rewind(cpu: number): void {
    const { arena } = this.#machine;
    const vcpu = this.vcpu(cpu);
    const length = BigInt(this.#patches.trap.length);
    const place = this.#code.translate(cpu, linearPc(vcpu) - length);
    if (place === undefined || !this.#patches.has(place)) return arena.clearDebugStop(cpu); // its own
    const regs = vcpu.getRegs();
    regs.rip -= length;
    vcpu.setRegs(regs);
    arena.stopForDebugger(cpu, DebugStopKind.REWOUND);
  }

  /**
   * The vCPUs are to go on.
   *
   * @returns False if one must pass a breakpoint first; then this lets them go on itself
   */
  letGo(): boolean {
    if (this.#machine.ending()) return true;
    if (this.#passing() < 0) {
      this.#pass.clear();
      this.#patches.insert(this.#table.patches);
      return true;
    }
    this.#look(() => this.#passAll());
    return false;
  }

  /** Something has rung: looks at a vCPU that stands for the debugger. */
  attend(): void {
    if (this.#machine.state() !== "running" || this.#machine.ending() || !this.#awaited()) return;
    this.#look(() => this.#judgeAll());
  }

  /** The first vCPU that stands at a breakpoint which it has told of, or where a trap's rest will be; or -1. */
  #passing(): number {
    return this.#machine.vcpus.findIndex((vcpu, cpu) => {
      const told = this.#pass.get(cpu);
      if (told === undefined && !this.#code.hasLongTraps) return false;
      const pc = linearPc(vcpu);
      return (told === pc && this.#code.at(pc, cpu).length > 0) || this.#code.isInTrap(pc, cpu);
    });
  }

  #awaited(): boolean {
    const { vcpus, arena } = this.#machine;
    return vcpus.some((_, cpu) => arena.debugStop(cpu) !== 0);
  }

  /** Does something while every vCPU stands, and then what has come up meanwhile. */
  #look(work: () => Promise<void> | void): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#machine.inspect(async () => {
      try {
        await work();
      } finally {
        this.#busy = false;
      }
    })
      // The next one may stand for the debugger by now, and so on for ever.
      .then(() => this.#machine.ending() ? undefined : this.#machine.arena.doorbell.giveTurn())
      .then(() => this.attend()).catch((error) => {
        this.#busy = false;
        if (!this.#machine.ending()) this.#machine.failed(error);
      });
  }

  async #passAll(): Promise<void> {
    for (let cpu = this.#passing(); cpu >= 0; cpu = this.#passing()) {
      if (this.#machine.state() !== "running") return;
      const kind = await this.#stepOne(cpu);
      if (kind === 0) return;
      this.#pass.delete(cpu);
      const stop = this.#hit(cpu, this.#triggered(cpu, kind, true), linearPc(this.vcpu(cpu)));
      if (stop !== undefined) return this.#machine.stopped(stop);
    }
  }

  /** Finds the first vCPU whose stop counts; those after it keep theirs for the next time. */
  #judgeAll(): void {
    if (this.#machine.state() !== "running") return;
    const { vcpus, arena } = this.#machine;
    for (let i = 1; i <= vcpus.length; i++) {
      const cpu = (this.#lastStopped + i + vcpus.length) % vcpus.length;
      const kind = arena.debugStop(cpu);
      if (kind === 0) continue;
      arena.clearDebugStop(cpu);
      const stop = this.#judge(cpu, kind);
      if (stop === undefined) continue;
      this.#lastStopped = cpu;
      return this.#machine.stopped(stop);
    }
  }

  /** What a debug exit means: a stop, the guest's own business, or nothing any more. */
  #judge(cpu: number, kind: number): DebugStop | undefined {
    const vcpu = this.vcpu(cpu);
    const pc = linearPc(vcpu);
    if (kind === DebugStopKind.REWOUND) {
      const here = this.#code.trapsAt(pc, cpu);
      return here.length === 0 ? undefined : this.#meet(cpu, here, pc);
    }
    const { vector, dr6 } = readDebugExit(vcpu, kind);
    if (vector === Vector.BP) {
      const here = this.#code.trapsAt(pc, cpu);
      if (here.length > 0) return this.#meet(cpu, here, pc);
      if (this.#code.byteAt(cpu, pc) !== INT3[0]) return undefined; // it was ours, and is gone
      setGuestDebug(vcpu.fd, this.#control() | GuestDebug.INJECT_BP, this.#registers());
      return undefined;
    }
    const slots = this.#triggered(cpu, kind, false);
    // A software KVM need not say which register it was.
    const here = slots.length > 0
      ? slots
      : this.#code.at(pc, cpu).filter(({ how }) => how === "hardware");
    if (here.length > 0) return this.#meet(cpu, here, pc);
    if ((dr6 & Dr6.BS) !== 0) this.#reinjectStep(vcpu, dr6);
    return undefined;
  }

  /** The guest steps itself: it gets its own #DB, with DR6 as it would be. */
  #reinjectStep(vcpu: Vcpu, dr6: number): void {
    const debug = vcpu.getDebugRegs();
    debug.dr6 |= BigInt(dr6 & Dr6.BS);
    vcpu.setDebugRegs(debug);
    setGuestDebug(vcpu.fd, this.#control() | GuestDebug.INJECT_DB, this.#registers());
  }

  /** A vCPU has met breakpoints; those that wait for the instruction it will pass next time. */
  #meet(cpu: number, met: readonly Breakpoint[], pc: bigint): DebugStop | undefined {
    if (met.some(({ kind }) => kind === "execute")) this.#pass.set(cpu, pc);
    return this.#hit(cpu, met, pc);
  }

  #hit(cpu: number, met: readonly Breakpoint[], pc: bigint): DebugStop | undefined {
    const scope = new DebugScope(this.vcpu(cpu), this.#physical);
    let stop: DebugStop | undefined;
    for (const breakpoint of met) {
      let message: string | undefined;
      try {
        if (breakpoint.condition?.evaluate(scope) === 0n) continue;
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        message = error.message;
      }
      breakpoint.hits++;
      stop ??= {
        reason: breakpoint.kind === "execute" ? "breakpoint" : "watchpoint",
        cpu,
        pc,
        breakpoint,
        ...(message === undefined ? {} : { message }),
      };
    }
    return stop;
  }

  /** The breakpoints in registers that DR6 tells of. */
  #triggered(cpu: number, kind: number, watchOnly: boolean): Breakpoint[] {
    const { vector, dr6 } = readDebugExit(this.vcpu(cpu), kind);
    if (vector !== Vector.DB) return [];
    return this.#table.slots(watchOnly).flatMap((slot, i) =>
      (dr6 & Dr6.SLOTS & (1 << i)) === 0 ? [] : this.#table.sharing(slot)
    );
  }

  /** As {@linkcode singleStep}. */
  async #stepOne(cpu: number, signal?: AbortSignal): Promise<number> {
    const watched = this.#table.slots(true);
    const step = { vcpu: this.vcpu(cpu), code: this.#code, watched, signal };
    try {
      return await singleStep(this.#machine, step);
    } finally {
      if (!this.#machine.ending()) this.#arm();
    }
  }

  #control(): number {
    const software = this.#patches.trap === INT3 && this.#table.patches.length > 0;
    const hardware = this.#table.slots().length > 0;
    if (!software && !hardware) return 0;
    return GuestDebug.ENABLE | (software ? GuestDebug.USE_SW_BP : 0) |
      (hardware ? GuestDebug.USE_HW_BP : 0);
  }

  #registers(): bigint[] {
    return packDebugRegisters(this.#table.slots());
  }

  /** Tells KVM of what is set. */
  #arm(): void {
    const control = this.#control();
    for (const { fd } of this.#machine.vcpus) setGuestDebug(fd, control, this.#registers());
    this.#machine.arena.hasTraps = this.#patches.trap !== INT3 && this.#table.patches.length > 0;
  }
}
