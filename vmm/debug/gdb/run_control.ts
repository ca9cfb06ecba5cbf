/**
 * Continuing, stepping and interrupting: packets c, s, vCont and ^C. All-stop: every vCPU stands or the
 * VM runs; a step is one vCPU's while the others stand.
 *
 * @module
 */
import { HvshError } from "../../../ffi/errors.ts";
import { hexNumber, PacketError } from "./hex.ts";
import { endReply, Signal, stopReply } from "./stop_reply.ts";
import type { GdbTarget } from "./target.ts";

/** What GDB wants of the VM. */
export type RunOrder =
  | { readonly kind: "continue" }
  | { readonly kind: "stop" }
  /** Until the vCPU leaves `[from, to)`; one instruction if that is empty. */
  | { readonly kind: "step"; readonly cpu: number; readonly from: bigint; readonly to: bigint };

/** What a vCont packet may ask for. */
export const VCONT_ACTIONS = "vCont;c;C;s;S;t;r";

/**
 * Reads the actions of a vCont packet. Of several the first step counts: the other threads stand meanwhile,
 * whatever their action is.
 *
 * @param actions `s:1;c` and the like
 * @param threadOf The vCPU of a thread id; undefined for all of them
 * @param current The vCPU that is chosen
 * @throws {PacketError} If there is no such action or thread
 */
export function parseVcont(
  actions: string,
  threadOf: (id: string) => number | undefined,
  current: number,
): RunOrder {
  const orders = actions.split(";").map((action): RunOrder => {
    const [what = "", thread] = action.split(":", 2);
    const cpu = thread === undefined ? undefined : threadOf(thread);
    const step = { kind: "step", cpu: cpu ?? current } as const;
    switch (what[0]) {
      case "c":
      case "C":
        return { kind: "continue" };
      case "t":
        return { kind: "stop" };
      case "s":
      case "S":
        return { ...step, from: 0n, to: 0n };
      case "r": {
        const [from, to] = what.slice(1).split(",");
        return { ...step, from: hexNumber(from), to: hexNumber(to) };
      }
    }
    throw new PacketError("No action");
  });
  return orders.find(({ kind }) => kind === "step") ?? orders[0]!;
}

/** The VM as one connection has it run. */
export class RunControl {
  readonly #target: GdbTarget;
  #going: Promise<void> | undefined;
  #interrupt: AbortController | undefined;
  #interrupted = false;
  #failure: unknown;

  /**
   * @param target The VM
   */
  constructor(target: GdbTarget) {
    this.#target = target;
  }

  /**
   * Has the VM go on.
   *
   * @param order How far
   * @param stands Called when it stands again
   */
  start(order: RunOrder, stands: () => Promise<void>): void {
    if (this.#going !== undefined) throw new PacketError("It runs");
    this.#interrupted = false;
    const interrupt = this.#interrupt = new AbortController();
    this.#going = this.#run(order, interrupt.signal).catch((error) => {
      if (!(error instanceof HvshError)) this.#failure ??= error;
      // It stands, and that is what GDB hears.
    }).then(() => {
      this.#going = undefined;
      return stands();
    });
  }

  async #run(order: RunOrder, signal: AbortSignal): Promise<void> {
    const { machine, debugger: debug } = this.#target;
    switch (order.kind) {
      case "continue":
        if (machine.state === "paused") machine.resume();
        return await machine.standing(signal);
      case "stop":
        return await this.stop();
      case "step":
        for (;;) {
          const stop = await debug.step(order.cpu, signal);
          if (stop === undefined) return await this.#afterStep(signal);
          if (stop.reason !== "step" || signal.aborted) return;
          if (stop.pc < order.from || stop.pc >= order.to) return;
        }
    }
  }

  /** A step that did not come to its end: it was interrupted, or the VM ends. */
  async #afterStep(signal: AbortSignal): Promise<void> {
    if (!signal.aborted) await this.#target.machine.ended.catch(() => {});
  }

  /** ^C: has it stand. */
  async interrupt(): Promise<void> {
    if (this.#going === undefined) return;
    this.#interrupted = true;
    await this.stop();
    this.#interrupt?.abort();
  }

  /** Has it stand, whatever it does. */
  async stop(): Promise<void> {
    const { machine } = this.#target;
    if (machine.state === "running") await machine.pause();
  }

  /** Ends what goes on, without a word to GDB. */
  async end(): Promise<void> {
    this.#interrupt?.abort();
    await this.#going;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** What GDB is told of the VM as it stands now. */
  async reply(
    cpu: number,
    details: Omit<Parameters<typeof stopReply>[3], "type">,
    typeOf: (breakpoint: Parameters<typeof stopReply>[2]) => number | undefined,
  ): Promise<string> {
    const { machine } = this.#target;
    if (machine.stopping || machine.state === "ended") {
      return endReply(await machine.ended.catch(() => ({ kind: "killed", status: 0 }) as const));
    }
    const stop = machine.pausedBy;
    const signal = stop === undefined || this.#interrupted ? Signal.INT : Signal.TRAP;
    return stopReply(signal, stop?.cpu ?? cpu, stop, { ...details, type: typeOf(stop) });
  }
}
