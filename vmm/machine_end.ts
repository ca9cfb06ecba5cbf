/**
 * How a machine comes to its end: by its guest, because it was told to, or because something failed.
 *
 * @module
 */
import { type Arena, Request } from "./arena.ts";
import type { Console } from "./console.ts";
import type { Fault } from "./cpu/fault.ts";
import { exitStatus, type VmEnd, type VmEndKind } from "./end.ts";
import type { MachineThreads } from "./machine_threads.ts";
import type { DeviceTimers } from "./timers.ts";

/** What ends. */
export interface EndingMachine {
  readonly arena: Arena;
  readonly threads: MachineThreads;
  readonly timers: DeviceTimers;
  readonly console: Console;
  /** It has ended: who listens is told, before whoever waits for the end. */
  ended(details: Readonly<Record<string, unknown>>): void;
}

/** The end of one machine. */
export class MachineEnd {
  /** Resolves when it has ended and its output has been handed over; rejects with what failed. */
  readonly ended: Promise<VmEnd>;
  /** Resolves when it is told to end, by whoever. */
  readonly told: Promise<void>;
  readonly #machine: EndingMachine;
  readonly #end = Promise.withResolvers<VmEnd>();
  readonly #told = Promise.withResolvers<void>();
  #kind: VmEndKind | undefined;
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param machine What ends
   */
  constructor(machine: EndingMachine) {
    this.#machine = machine;
    this.ended = this.#end.promise;
    this.told = this.#told.promise;
  }

  /** Whether its guest has come to an end. */
  get reached(): boolean {
    return this.#machine.arena.stopReason !== undefined;
  }

  /** Whether it comes to its end, by itself or because it was told to. */
  get coming(): boolean {
    return this.reached || this.#kind !== undefined;
  }

  /**
   * Tells its threads to end; the first to ask says why.
   *
   * @param kind Why
   */
  ask(kind: VmEndKind): void {
    const { arena, threads } = this.#machine;
    this.#kind ??= kind;
    this.#told.resolve();
    threads.request(Request.STOP);
    arena.endRestart();
    arena.doorbell.ring();
  }

  /**
   * Ends what has no threads that run.
   *
   * @param kind Why
   */
  now(kind: VmEndKind): void {
    this.#finish({ kind, status: exitStatus(kind, 0, false) });
  }

  /** Something on this thread failed; the first failure is told. */
  failed(error: unknown): void {
    this.#failure ??= { error };
  }

  /** Tells of its end, or why it failed, although threads of it can't end. */
  abandon(): void {
    if (this.#failure !== undefined) return this.#fail(this.#failure.error);
    this.now(this.#kind ?? "killed");
  }

  /**
   * Brings everything to its end once one vCPU has, and tells of it.
   *
   * @param runs What each vCPU ran into, once it stops
   * @param attended Resolves when nobody serves the doorbell any more
   */
  async after(runs: Promise<Fault | undefined>[], attended: Promise<void>): Promise<void> {
    const { arena, threads, timers, console } = this.#machine;
    try {
      // One vCPU's end is everybody's, and so is its failure.
      await Promise.race([attended, Promise.all(runs)]).catch(() => {});
      this.#kind ??= "killed";
      threads.request(Request.STOP);
      arena.doorbell.ring();
      await Promise.allSettled(runs);
      await threads.stopIo(this.told);
      // Nothing of it is left to come behind its end, the event loop's turn neither.
      await attended;
      await arena.doorbell.idle;
      timers.clear();
      // The last words of a VM that failed count most.
      await console.drain(this.told).catch((error) => this.failed(error));
      const faults = await Promise.all(runs);
      if (this.#failure !== undefined) throw this.#failure.error;
      const reason = arena.stopReason;
      const kind = reason?.kind ?? this.#kind;
      const fault = faults.find((f) => f !== undefined);
      this.#finish({
        kind,
        status: exitStatus(kind, reason?.status ?? 0, console.panicked),
        ...(fault === undefined ? {} : { fault }),
      });
    } catch (error) {
      this.#fail(error);
    }
  }

  #finish(end: VmEnd): void {
    this.#machine.ended({ reason: end.kind, status: end.status });
    this.#end.resolve(end);
  }

  #fail(error: unknown): void {
    this.#machine.ended({ reason: "failed", message: (error as Error).message });
    this.#end.reject(error);
  }
}
