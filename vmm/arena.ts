/**
 * The VM's shared state: one SharedArrayBuffer with a control block for each vCPU, every device's
 * registers under a lock word of its own, and the output rings.
 *
 *     word 0            doorbell: rung whenever the main thread has something to look at
 *     word 1            progress: rung whenever a vCPU that waits may go on
 *     word 2, 3         why the VM stops (index into STOP_KINDS + 1), the guest's exit status
 *     word 4            PCI: counts changes of what BARs decode
 *     word 5, 6         what the I/O threads are asked to do; for which of them a change waits
 *     word 7            debugging: whether TRAP_PORT is the debugger's
 *     word 8 to 15      PCI: which slots hold each of the eight shared interrupt lines
 *     word 16           whether a reset by the guest starts the machine anew
 *     word 17           whether any vCPU has run since somebody looked
 *     word 32 + 16 n    vCPU n: request, state, thread id, changes that wait for its thread, debug
 *                       stop, and a count of what it may wait for
 *     then a place for each device and some spare: see `arena_layout.ts`
 *
 * @module
 */
import { ByteRing } from "./byte_ring.ts";
import type { StopKind } from "./device.ts";
import { Doorbell } from "./doorbell.ts";

const DOORBELL = 0;
const PROGRESS = 1;
const STOP_KIND = 2;
const STOP_STATUS = 3;
/** Index of the word that counts changes of what BARs decode. */
export const PCI_GENERATION = 4;
const IO_REQUEST = 5;
const IO_CHANGES = 6;
const TRAPS = 7;
/** Index of the first of the eight words of PCI's shared interrupt lines. */
export const PCI_LINES = 8;
const RESTARTS = 16;
const RAN = 17;
const VCPU_BASE = 32;
const VCPU_WORDS = 16;
/** Words before a device's registers: its lock, and what its I/O thread is asked. */
const SliceWord = { LOCK: 0, WAKE: 1, WANTS_ROOM: 2 } as const;
const RING_CAPACITY = 65536;

/** Where devices' places start. */
export function placesStart(cpus: number): number {
  return (VCPU_BASE + VCPU_WORDS * cpus) * 4;
}

/** Bytes before a device's registers. */
export const SLICE_HEADER = 16;
/** Bytes of a device's output ring. */
export const RING_BYTES: number = ByteRing.sizeFor(RING_CAPACITY);

/**
 * What a vCPU or an I/O thread is asked to do. STEP is to run while the debugger has TF set; LEAVE is to
 * stop without waiting for who reads what devices have to say.
 */
export const Request = { RUN: 0, PAUSE: 1, STOP: 2, STEP: 3, LEAVE: 4 } as const;
/** What the number of a pause is multiplied by in what I/O threads are asked for. */
export const IO_PAUSE = 8;
/** What a vCPU does. */
export const VcpuState = { IDLE: 0, RUNNING: 1, PAUSED: 2 } as const;

/**
 * What a vCPU stands for: KVM_EXIT_DEBUG, a trap of the debugger's, the end of a step, or a trap that it
 * has been put back before.
 */
export const DebugStopKind = { EXIT: 1, TRAP: 2, STEP_ENDED: 3, REWOUND: 4 } as const;
/**
 * The port of the debugger's traps, where KVM does not tell of INT3: a PC has nothing there, and as an
 * instruction it is NOP, for who jumps into the middle of a trap.
 */
export const TRAP_PORT = 0x90;

const Word = { REQUEST: 0, STATE: 1, TID: 2, CHANGES: 3, DEBUG_STOP: 4, WAKES: 5 } as const;

/** Reasons beyond a device's {@linkcode StopKind}: what the vCPU itself ran into. */
export type EndKind = StopKind | "triple-fault" | "fault";
const STOP_KINDS: readonly EndKind[] = [
  "halt",
  "poweroff",
  "reset",
  "exit",
  "panic",
  "triple-fault",
  "fault",
];

/** What the word for the reason has while it is being written, and while the machine starts anew. */
const STOP_BEING_SAID = -1;
const RESTARTING = -2;

/** Where a device's slice and ring lie; plain data, so that every thread can open them. */
export interface DeviceSlice {
  /** Index of its lock in 32-bit words. */
  readonly lock: number;
  /** Byte offset of its registers. */
  readonly offset: number;
  /** Bytes of its registers. */
  readonly size: number;
  /** Byte offset of what the PCI bus keeps of it. */
  readonly pci: number;
  /** Bytes of that; 0 for a device that is not on the PCI bus. */
  readonly pciSize: number;
  /** Byte offset of its output ring. */
  readonly ring: number;
}

/** The shared state of one VM, opened in each of its threads. */
export class Arena {
  /** The memory itself; send it to a Worker and open it there. */
  readonly buffer: SharedArrayBuffer;
  /** The same memory as words, for locks. */
  readonly words: Int32Array;
  /** Rung whenever the main thread has something to look at: rings, timers, states. */
  readonly doorbell: Doorbell;

  /**
   * @param buffer What {@linkcode Arena.plan} sized
   */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.doorbell = new Doorbell(this.words, DOORBELL);
  }

  /**
   * Opens a device's registers.
   *
   * @param slice Its place
   * @returns A view of just them
   */
  state(slice: DeviceSlice): DataView {
    return new DataView(this.buffer, slice.offset, slice.size);
  }

  /**
   * Opens a device's output ring.
   *
   * @param slice Its place
   * @returns The ring
   */
  ring(slice: DeviceSlice): ByteRing {
    return new ByteRing(this.buffer, slice.ring, RING_CAPACITY);
  }

  /**
   * Opens what the PCI bus keeps of a device.
   *
   * @param slice Its place
   * @returns A view of just that
   */
  pciState(slice: DeviceSlice): DataView {
    return new DataView(this.buffer, slice.pci, slice.pciSize);
  }

  /** Marks a device for its I/O thread; true if it was not marked. */
  markWake(lock: number): boolean {
    return Atomics.exchange(this.words, lock + SliceWord.WAKE, 1) === 0;
  }

  /** Takes a device's mark. */
  takeWake(lock: number): boolean {
    return Atomics.exchange(this.words, lock + SliceWord.WAKE, 0) !== 0;
  }

  /** Notes that a device waits for room in its output ring. */
  markWantsRoom(lock: number): void {
    Atomics.store(this.words, lock + SliceWord.WANTS_ROOM, 1);
  }

  /** Takes that note. */
  takeWantsRoom(lock: number): boolean {
    return Atomics.load(this.words, lock + SliceWord.WANTS_ROOM) !== 0 &&
      Atomics.exchange(this.words, lock + SliceWord.WANTS_ROOM, 0) !== 0;
  }

  /** What the I/O threads are asked to do: a {@linkcode Request}, and times {@linkcode IO_PAUSE} which pause. */
  get ioRequest(): number {
    return Atomics.load(this.words, IO_REQUEST);
  }

  set ioRequest(request: number) {
    Atomics.store(this.words, IO_REQUEST, request);
  }

  /**
   * Has the I/O threads stand still, once they are woken; those that were told to end do that.
   *
   * @param pause The number of this pause, below 2^28
   */
  pauseIo(pause: number): void {
    const request = Request.PAUSE + pause * IO_PAUSE;
    Atomics.compareExchange(this.words, IO_REQUEST, Request.RUN, request);
  }

  /** Undoes {@linkcode pauseIo}. */
  resumeIo(): void {
    const request = this.ioRequest;
    if (request === Request.STOP || request === Request.LEAVE) return;
    Atomics.compareExchange(this.words, IO_REQUEST, request, Request.RUN);
  }

  /**
   * Waits, without blocking the thread, until progress was announced after a count was taken.
   *
   * @param seen The count taken before looking
   */
  async progressAfter(seen: number): Promise<void> {
    const wait = Atomics.waitAsync(this.words, PROGRESS, seen);
    if (wait.async) await wait.value;
  }

  /** Lets vCPUs that wait for room in a ring look again. */
  announceProgress(): void {
    Atomics.add(this.words, PROGRESS, 1);
    Atomics.notify(this.words, PROGRESS);
  }

  /** The count of announcements; take it before looking for room. */
  get progress(): number {
    return Atomics.load(this.words, PROGRESS);
  }

  /** Blocks a vCPU's thread until progress was announced after the count was taken. */
  waitForProgress(seen: number): void {
    Atomics.wait(this.words, PROGRESS, seen);
  }

  /**
   * Ends the VM; the first reason stays. Where {@linkcode restarts} is set a reset starts it anew.
   *
   * @param kind Why
   * @param status The guest's own exit status, if it gave one
   */
  stop(kind: EndKind, status = 0): void {
    if (kind === "reset" && this.restarts) return this.askForRestart();
    const code = STOP_KINDS.indexOf(kind) + 1;
    // A vCPU that is lost can't be started anew.
    const lost = kind === "fault" || kind === "triple-fault";
    const free = (from: number) =>
      Atomics.compareExchange(this.words, STOP_KIND, from, STOP_BEING_SAID) === from;
    if (free(0) || (lost && free(RESTARTING))) {
      Atomics.store(this.words, STOP_STATUS, status);
      Atomics.store(this.words, STOP_KIND, code);
    }
    this.doorbell.ring();
  }

  /** Whether vCPUs are to leave what they do: something ended the VM, or it starts anew. */
  get stopping(): boolean {
    return Atomics.load(this.words, STOP_KIND) !== 0;
  }

  /** Whether a reset by the guest starts the machine anew rather than ending it. */
  get restarts(): boolean {
    return Atomics.load(this.words, RESTARTS) !== 0;
  }

  set restarts(restarts: boolean) {
    Atomics.store(this.words, RESTARTS, restarts ? 1 : 0);
  }

  /** Has the main thread start the machine anew. */
  askForRestart(): void {
    Atomics.compareExchange(this.words, STOP_KIND, 0, RESTARTING);
    this.doorbell.ring();
  }

  /** Whether the machine is about to start anew. */
  get restarting(): boolean {
    return Atomics.load(this.words, STOP_KIND) === RESTARTING;
  }

  /** The machine starts anew now, or ends after all. */
  endRestart(): void {
    Atomics.compareExchange(this.words, STOP_KIND, RESTARTING, 0);
  }

  /** Has a vCPU stand until it is asked to go on; one that was told to end does so. */
  standStill(vcpu: number): void {
    const request = vcpuWord(vcpu, Word.REQUEST);
    Atomics.compareExchange(this.words, request, Request.RUN, Request.PAUSE);
    Atomics.compareExchange(this.words, request, Request.STEP, Request.PAUSE);
  }

  /** Why it ended, and the guest's own exit status; undefined while it has not. */
  get stopReason(): { kind: EndKind; status: number } | undefined {
    const kind = STOP_KINDS[Atomics.load(this.words, STOP_KIND) - 1];
    return kind && { kind, status: Atomics.load(this.words, STOP_STATUS) };
  }

  /** What a vCPU is asked to do, a {@linkcode Request}. */
  request(vcpu: number): number {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.REQUEST));
  }

  /** Asks a vCPU to do something; kick it if it may be in KVM_RUN. */
  setRequest(vcpu: number, request: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.REQUEST), request);
    this.#wakeVcpu(vcpu);
  }

  /** Lets a vCPU that stands still go on; one that was told to end does so. */
  letGo(vcpu: number, how: number = Request.RUN): void {
    Atomics.compareExchange(this.words, vcpuWord(vcpu, Word.REQUEST), Request.PAUSE, how);
    this.#wakeVcpu(vcpu);
  }

  /** Blocks a vCPU's thread while it is asked for nothing but `request`, not even for a change. */
  waitWhileRequested(vcpu: number, request: number): void {
    for (;;) {
      const seen = Atomics.load(this.words, vcpuWord(vcpu, Word.WAKES));
      if (this.request(vcpu) !== request || this.changeAsked(vcpu)) return;
      Atomics.wait(this.words, vcpuWord(vcpu, Word.WAKES), seen);
    }
  }

  /** Has a vCPU that waits look at what it is asked for. */
  #wakeVcpu(vcpu: number): void {
    Atomics.add(this.words, vcpuWord(vcpu, Word.WAKES), 1);
    Atomics.notify(this.words, vcpuWord(vcpu, Word.WAKES));
  }

  /** Has a vCPU's thread leave its loop for a change; kick it if it may be in KVM_RUN. */
  askForChange(vcpu: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.CHANGES), 1);
    this.#wakeVcpu(vcpu);
  }

  /** Whether a change waits for a vCPU's thread. */
  changeAsked(vcpu: number): boolean {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.CHANGES)) !== 0;
  }

  /** The change is there. */
  changeDone(vcpu: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.CHANGES), 0);
  }

  /** Has an I/O thread leave its loop for a change, once it is woken. */
  askIoForChange(thread: number): void {
    Atomics.or(this.words, IO_CHANGES, 1 << thread);
  }

  /** Whether a change waits for an I/O thread. */
  ioChangeAsked(thread: number): boolean {
    return (Atomics.load(this.words, IO_CHANGES) & (1 << thread)) !== 0;
  }

  /** The change is there. */
  ioChangeDone(thread: number): void {
    Atomics.and(this.words, IO_CHANGES, ~(1 << thread));
  }

  /** Whether any vCPU has run, or memory was written from outside, since this was set to false. */
  get ran(): boolean {
    return Atomics.load(this.words, RAN) !== 0;
  }

  set ran(ran: boolean) {
    Atomics.store(this.words, RAN, ran ? 1 : 0);
  }

  /** What a vCPU does, a {@linkcode VcpuState}. */
  vcpuState(vcpu: number): number {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.STATE));
  }

  /** Says what a vCPU does. */
  setVcpuState(vcpu: number, state: number): void {
    if (state === VcpuState.RUNNING) Atomics.store(this.words, RAN, 1);
    Atomics.store(this.words, vcpuWord(vcpu, Word.STATE), state);
    this.doorbell.ring();
  }

  /** Has a vCPU stand for the debugger, for a {@linkcode DebugStopKind}, until that has looked. */
  stopForDebugger(vcpu: number, kind: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.DEBUG_STOP), kind);
    this.standStill(vcpu);
  }

  /** What a vCPU stands for that the debugger has not looked at, a {@linkcode DebugStopKind}; or 0. */
  debugStop(vcpu: number): number {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.DEBUG_STOP));
  }

  /** The debugger has looked at it. */
  clearDebugStop(vcpu: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.DEBUG_STOP), 0);
  }

  /** Whether the guest's code has writes to {@linkcode TRAP_PORT} that are the debugger's. */
  get hasTraps(): boolean {
    return Atomics.load(this.words, TRAPS) !== 0;
  }

  set hasTraps(there: boolean) {
    Atomics.store(this.words, TRAPS, there ? 1 : 0);
  }

  /** The thread id of a vCPU's thread; 0 before it has started. */
  threadId(vcpu: number): number {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.TID));
  }

  /** Says which thread runs a vCPU. */
  setThreadId(vcpu: number, tid: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.TID), tid);
  }
}

function vcpuWord(vcpu: number, word: number): number {
  return VCPU_BASE + VCPU_WORDS * vcpu + word;
}
