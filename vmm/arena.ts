/**
 * The VM's shared state: one SharedArrayBuffer with a control block for each vCPU, every device's
 * registers under a lock word of its own, and the output rings.
 *
 *     word 0            doorbell: rung whenever the main thread has something to look at
 *     word 1            progress: rung whenever a vCPU that waits may go on
 *     word 2, 3         why the VM stops (index into STOP_KINDS + 1), the guest's exit status
 *     word 16 + 16 n    vCPU n: request, state, thread id
 *     then, 64-byte aligned, a slice a device: lock word, padding, registers
 *     then the rings
 *
 * @module
 */
import { ByteRing } from "./byte_ring.ts";
import type { StopKind } from "./device.ts";

const CACHE_LINE = 64;
const DOORBELL = 0;
const PROGRESS = 1;
const STOP_KIND = 2;
const STOP_STATUS = 3;
const VCPU_BASE = 16;
const VCPU_WORDS = 16;
/** The lock word and padding before a device's registers. */
const SLICE_HEADER = 16;
const RING_CAPACITY = 65536;

/** What a vCPU is asked to do. */
export const Request = { RUN: 0, PAUSE: 1, STOP: 2 } as const;
/** What a vCPU does. */
export const VcpuState = { IDLE: 0, RUNNING: 1, PAUSED: 2 } as const;

const Word = { REQUEST: 0, STATE: 1, TID: 2 } as const;

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

/** Where a device's slice and ring lie; plain data, so that every thread can open them. */
export interface DeviceSlice {
  /** Index of its lock in 32-bit words. */
  readonly lock: number;
  /** Byte offset of its registers. */
  readonly offset: number;
  /** Bytes of its registers. */
  readonly size: number;
  /** Byte offset of its output ring. */
  readonly ring: number;
}

const align = (n: number) => Math.ceil(n / CACHE_LINE) * CACHE_LINE;

/** The shared state of one VM, opened in each of its threads. */
export class Arena {
  /** The memory itself; send it to a Worker and open it there. */
  readonly buffer: SharedArrayBuffer;
  /** The same memory as words, for locks. */
  readonly words: Int32Array;

  /**
   * @param buffer What {@linkcode Arena.plan} sized
   */
  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
  }

  /**
   * Lays a VM's state out.
   *
   * @param cpus How many vCPUs
   * @param sizes Bytes of registers of each device, in order
   * @returns The arena and each device's place in it
   */
  static plan(cpus: number, sizes: readonly number[]): { arena: Arena; slices: DeviceSlice[] } {
    let end = align((VCPU_BASE + VCPU_WORDS * cpus) * 4);
    const slices = sizes.map((size) => {
      const lock = end / 4;
      const offset = end + SLICE_HEADER;
      end = align(offset + size);
      return { lock, offset, size, ring: 0 };
    });
    const placed = slices.map((slice) => {
      const ring = end;
      end = align(end + ByteRing.sizeFor(RING_CAPACITY));
      return { ...slice, ring };
    });
    return { arena: new Arena(new SharedArrayBuffer(end)), slices: placed };
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

  /** Has the main thread look at rings, timers and states. */
  ringDoorbell(): void {
    Atomics.add(this.words, DOORBELL, 1);
    Atomics.notify(this.words, DOORBELL);
  }

  /** The doorbell's count; take it before looking, hand it to {@linkcode doorbellAfter} afterwards. */
  get doorbell(): number {
    return Atomics.load(this.words, DOORBELL);
  }

  /**
   * Waits, without blocking the thread, until the doorbell has been rung since a count was taken.
   *
   * @param seen The count taken before looking
   */
  async doorbellAfter(seen: number): Promise<void> {
    const wait = Atomics.waitAsync(this.words, DOORBELL, seen);
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
   * Ends the VM; the first reason stays.
   *
   * @param kind Why
   * @param status The guest's own exit status, if it gave one
   */
  stop(kind: EndKind, status = 0): void {
    const code = STOP_KINDS.indexOf(kind) + 1;
    if (Atomics.compareExchange(this.words, STOP_KIND, 0, -1) === 0) {
      Atomics.store(this.words, STOP_STATUS, status);
      Atomics.store(this.words, STOP_KIND, code);
    }
    this.ringDoorbell();
  }

  /** Whether something ended the VM. */
  get stopping(): boolean {
    return Atomics.load(this.words, STOP_KIND) !== 0;
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
    Atomics.notify(this.words, vcpuWord(vcpu, Word.REQUEST));
  }

  /** Blocks a vCPU's thread while it is asked for nothing but `request`. */
  waitWhileRequested(vcpu: number, request: number): void {
    Atomics.wait(this.words, vcpuWord(vcpu, Word.REQUEST), request);
  }

  /** What a vCPU does, a {@linkcode VcpuState}. */
  vcpuState(vcpu: number): number {
    return Atomics.load(this.words, vcpuWord(vcpu, Word.STATE));
  }

  /** Says what a vCPU does. */
  setVcpuState(vcpu: number, state: number): void {
    Atomics.store(this.words, vcpuWord(vcpu, Word.STATE), state);
    this.ringDoorbell();
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
