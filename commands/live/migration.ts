/**
 * The owner's part of a VM's migration. Exactly one of two machines goes on, whoever is killed:
 *
 *     client                  this owner                        the other owner
 *     the stream →
 *                                                        ← {"made":true}: it is worth a last round
 *                                                        ← {"read":N}: it has all of round N
 *                                                        ← {"restored":true,"owner":…}: it stands ready
 *     takeOver: its pipes →   has them itself
 *     commit →                → {"go":true,"paused":false}
 *                                                        ← {"running":true}, and then it runs
 *                             ends
 *
 * Before `go` the other side ends when its stdin does; after it this side waits for `running`. If the other
 * side's stdout ends without it, who relays that may have ended only: the VM goes on when the other owner is
 * seen to have ended, which can be seen on this host. Of another host nobody can know: this VM is paused, and
 * a person decides.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { delay } from "./delay.ts";
import { slotRecords } from "../../vmm/debug/process_memory.ts";
import { savedRegions } from "../../vmm/state/regions.ts";
import { machineRecords, type Records } from "../../vmm/state/save_stream.ts";
import { type HeldState, heldState } from "./methods/state.ts";
import type { OwnedVm } from "./methods.ts";
import type { ExitRecord } from "./owner.ts";
import { PipeLines, sayLine } from "./pipe_lines.ts";
import { lives } from "./process_identity.ts";

/** What is said between the two sides, a line of JSON each. */
export const Word = {
  MADE: "made",
  READ: "read",
  RESTORED: "restored",
  GO: "go",
  RUNNING: "running",
} as const;

/** How long the other side may be silent once it was told to go, all the network's delays included. */
const MOST_SILENT_MILLISECONDS = 60_000;
/** How long another owner may take to end once nobody relays what it says; one that has not runs its VM. */
const MOST_ENDING_MILLISECONDS = 10_000;
/** How long to wait for disks that the other side may have taken. */
const MOST_DISK_MILLISECONDS = 5000;
/** How often to look. */
const LOOK_MILLISECONDS = 20;
const LATE = "The VM was let go on: the last round took too long";

/** A VM whose migration has begun. */
export type BegunMigration = Pick<HeldState, "pid" | "slots" | "traps" | "regions" | "machine">;

/** Pages that have changed, a region each, in base64. */
export interface ChangedPages {
  readonly dirty: readonly string[];
}

/** A VM that is held for its last round. */
export type LastState = Omit<HeldState, "machine"> & ChangedPages;

/** How a migration ended. */
export interface MigrationEnd {
  readonly exit: ExitRecord;
  /** Milliseconds from when the VM was to be held to when the other side said that its one runs. */
  readonly downtime: number;
}

/** One attempt to move a VM. */
export class Migration {
  readonly #vm: OwnedVm;
  readonly #over: () => void;
  readonly #left = new AbortController();
  /** What the other side was told that the machine is. */
  #told = "";
  #release: (() => void) | undefined;
  #limit: ReturnType<typeof setTimeout> | undefined;
  #heldSince = 0;
  #paused = false;
  #pipes: { readonly to: number; readonly from: number } | undefined;
  /** Who the other owner has said to be. */
  #other: unknown;
  #decided = false;
  #ended = false;
  #late = false;
  #logs = false;

  /**
   * @param vm The VM
   * @param over Called when it is over
   */
  constructor(vm: OwnedVm, over: () => void) {
    this.#vm = vm;
    this.#over = over;
  }

  /** Begins the log; the VM stands for a moment, so that it need not be longer at the end. */
  async begin(): Promise<BegunMigration> {
    const { machine } = this.#vm;
    if (machine.state !== "running" && machine.state !== "paused") {
      this.#end();
      throw new VmError(`Cannot migrate a VM that is ${machine.state}`);
    }
    await machine.filled; // the client reads it by the files behind it
    await machine.flushDisks(); // most of what the last round would wait for
    await machine.freeze((frozen) => heldState(machine, frozen));
    if (this.#ended) throw new VmError("The client is gone");
    machine.dirtyLog.start();
    this.#logs = true;
    this.#told = JSON.stringify(machine.description);
    return {
      pid: Deno.pid,
      slots: slotRecords(machine.slots),
      traps: machine.traps,
      regions: savedRegions(machine.slots),
      machine: this.#records(),
    };
  }

  /** What has changed since the last time. */
  dirty(): ChangedPages {
    return { dirty: this.#vm.machine.dirtyLog.take().map((bitmap) => bitmap.toBase64()) };
  }

  /**
   * Holds the VM.
   *
   * @param milliseconds At most for so long, unless the other side was told to go by then
   */
  hold(milliseconds: number): Promise<LastState> {
    const { machine } = this.#vm;
    if (this.#release !== undefined) throw new VmError("The VM is held already");
    const released = Promise.withResolvers<void>();
    const shown = Promise.withResolvers<LastState>();
    this.#release = released.resolve;
    this.#heldSince = performance.now();
    this.#paused = machine.state === "paused";
    this.#limit = setTimeout(() => {
      this.#late = true;
      this.abandon();
    }, milliseconds);
    machine.freeze(async (frozen) => {
      await machine.flushDisks();
      if (this.#ended) throw new VmError(this.#late ? LATE : "The client is gone");
      // A device that the guest has let go meanwhile is one that the other side has.
      if (JSON.stringify(machine.description) !== this.#told) {
        throw new VmError("The VM's devices have changed while it was being migrated", {
          hint: "try again",
        });
      }
      // What the machine is went ahead of the rounds; it has firmware and kernels in it.
      const { machine: _, ...state } = heldState(machine, frozen);
      shown.resolve({ ...state, ...this.dirty() });
      await Promise.race([released.promise, machine.ended]);
    }).catch(shown.reject);
    return shown.promise;
  }

  /**
   * Takes the client's pipes.
   *
   * @param pid The client
   * @param to Its end of the pipe to the other side
   * @param from And of the one from there
   * @param other Who the other owner has said to be
   */
  takeOver(pid: number, to: number, from: number, other: unknown): void {
    this.#requireHeld();
    this.#other = other;
    const writer = openFile(`/proc/${pid}/fd/${to}`, OpenFlag.WRONLY | OpenFlag.NONBLOCK);
    try {
      const reader = openFile(`/proc/${pid}/fd/${from}`, OpenFlag.RDONLY | OpenFlag.NONBLOCK);
      this.#pipes = { to: writer, from: reader };
    } catch (error) {
      closeFile(writer);
      throw error;
    }
  }

  /**
   * Has the other side go, and ends the VM once that one runs.
   *
   * @returns How it ended
   * @throws {VmError} If the other side did not run; this VM goes on
   */
  async commit(): Promise<MigrationEnd> {
    this.#requireHeld();
    if (this.#pipes === undefined) throw new VmError("There are no pipes to the other side");
    const { to, from } = this.#pipes;
    const { machine } = this.#vm;
    clearTimeout(this.#limit);
    this.#decided = true;
    let told = false;
    try {
      machine.yieldDisks();
      told = sayLine(to, { [Word.GO]: true, paused: this.#paused });
      if (!told) throw gone();
      this.#closeWriter(); // what relays it ends when the other side does
      const silent = AbortSignal.timeout(MOST_SILENT_MILLISECONDS);
      const end = AbortSignal.any([this.#left.signal, silent]);
      const line = await new PipeLines(from).next(end);
      if (line?.[Word.RUNNING] !== true) throw gone();
    } catch (error) {
      this.#closePipes();
      const doubtful = told && !await this.#otherHasEnded();
      await this.#takeDisks();
      // It stands for the freeze until that ends, and then for the pause.
      const pausing = doubtful && machine.state === "running" ? machine.pause() : undefined;
      this.#end();
      await pausing;
      throw doubtful ? perhaps(this.#vm.name) : error;
    }
    const downtime = performance.now() - this.#heldSince;
    const ended = machine.stop("migrated");
    this.#end();
    return { exit: this.#vm.record(await ended), downtime };
  }

  /** The client is gone, or has taken too long: the VM goes on, unless the other side was told to go. */
  abandon(): void {
    if (!this.#decided) this.#end();
  }

  #records(): Records {
    const { machine } = this.#vm;
    const { description: document, firmwareItems: fwCfg } = machine;
    const regions = savedRegions(machine.slots);
    return machineRecords({ document, regions, ...(fwCfg === undefined ? {} : { fwCfg }) });
  }

  #requireHeld(): void {
    if (this.#release !== undefined && !this.#ended && !this.#decided) return;
    throw new VmError(
      this.#late ? LATE : "The VM is not held",
    );
  }

  #closeWriter(): void {
    const { to, from } = this.#pipes!;
    this.#pipes = { to: -1, from };
    closeFile(to);
  }

  #closePipes(): void {
    if (this.#pipes === undefined) return;
    if (this.#pipes.to >= 0) closeFile(this.#pipes.to);
    closeFile(this.#pipes.from);
    this.#pipes = undefined;
  }

  /** Whether it is sure that the other side's VM does not run. */
  async #otherHasEnded(): Promise<boolean> {
    for (let waited = 0; waited < MOST_ENDING_MILLISECONDS; waited += LOOK_MILLISECONDS) {
      const there = lives(this.#other);
      if (there !== true) return there === false;
      if (!await delay(LOOK_MILLISECONDS, this.#left.signal)) break;
    }
    return false;
  }

  /** The other side may just be ending that has them; a VM without its disks must not go on. */
  async #takeDisks(): Promise<void> {
    const { machine } = this.#vm;
    for (let waited = 0;; waited += LOOK_MILLISECONDS) {
      try {
        if (machine.state !== "ended") machine.takeDisks();
        return;
      } catch (error) {
        if (waited >= MOST_DISK_MILLISECONDS) return machine.fail(error);
      }
      await delay(LOOK_MILLISECONDS, this.#left.signal);
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#limit);
    this.#left.abort();
    const { machine } = this.#vm;
    if (this.#logs && machine.state !== "ended") machine.dirtyLog.stop();
    this.#closePipes();
    this.#release?.();
    this.#over();
  }
}

function perhaps(name: string): VmError {
  return new VmError("The other side may run the VM, and has not said so; it is paused here", {
    hint: `hvsh resume ${name}, if it does not run there; hvsh kill ${name}, if it does`,
  });
}

function gone(): VmError {
  return new VmError("The other side ended before its VM ran; this one goes on");
}
