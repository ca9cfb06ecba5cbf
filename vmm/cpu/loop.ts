/**
 * The KVM_RUN loop of one vCPU. It blocks its thread, allocates nothing on the way of an exit that
 * a device answers, and looks at its request word before each entry.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { Exit, INTERNAL_ERROR_EMULATION } from "../../ffi/kvm/exit.ts";
import { Ioctl } from "../../ffi/kvm/ioctl.ts";
import { RunOffset } from "../../ffi/kvm/structs.ts";
import { errno, libc } from "../../ffi/libc.ts";
import { type Arena, DebugStopKind, Request, TRAP_PORT, VcpuState } from "../arena.ts";
import type { Bus } from "../bus.ts";
import type { Width } from "../device.ts";
import type { VcpuWatch } from "../debug/vcpu_watch.ts";
import type { DeviceSet } from "../device_set.ts";
import { captureFault, type Fault } from "./fault.ts";
import { fixUp } from "./fix_up.ts";

/** KVM_SYSTEM_EVENT_* (api.rst, KVM_EXIT_SYSTEM_EVENT). */
const SYSTEM_EVENT_SHUTDOWN = 1;
const SYSTEM_EVENT_RESET = 2;
const SYSTEM_EVENT_CRASH = 3;

/** What a vCPU runs on. */
export interface VcpuPlace {
  /** Its number. */
  readonly id: number;
  /** Its descriptor. */
  readonly fd: number;
  /** `struct kvm_run` and the pages behind it. */
  readonly run: ArrayBuffer;
  /** The VM's shared state. */
  readonly arena: Arena;
  /** The devices of this thread. */
  readonly devices: DeviceSet;
  /** Whether HLT waits in the kernel for an interrupt, rather than being the end. */
  readonly irqchip: boolean;
  /**
   * Give the thread back at the first kick, or when nobody has read the output for too long: the
   * loop runs on the thread that reads it.
   */
  readonly yields: boolean;
  /** What watches it; it changes only while the loop is left. */
  watch?: VcpuWatch;
  /** Whether the loop was left for a change between an access and what follows it. */
  unfinishedAccess?: boolean;
}

/** What {@linkcode runVcpu} gives when it has given its thread back before the VM stopped. */
export const UNFINISHED = Symbol("unfinished");

/** What {@linkcode runVcpu} gives when a change waits for its thread. */
export const CHANGE = Symbol("change");

/**
 * Runs a vCPU until its VM stops.
 *
 * @param place What it runs on
 * @returns What it ran into, if that is why the VM stops; {@linkcode UNFINISHED} or
 *   {@linkcode CHANGE} if it has not; else undefined
 */
export function runVcpu(
  place: VcpuPlace,
): Fault | typeof UNFINISHED | typeof CHANGE | undefined {
  const { id, fd, arena, devices } = place;
  const { bus } = devices;
  const bytes = new Uint8Array(place.run);
  const halves = new Uint16Array(place.run);
  const words = new Uint32Array(place.run);
  const { kvm_run } = libc;
  const tracer = place.watch?.tracer;
  const sampler = place.watch?.sampler;
  /** The last access is carried out when KVM_RUN is entered again, not before (api.rst §5). */
  let unfinishedAccess = place.unfinishedAccess === true;

  arena.setVcpuState(id, VcpuState.RUNNING);
  for (;;) {
    if (arena.stopping) {
      if (!arena.restarting) return undefined;
      arena.standStill(id);
    }
    const request = arena.request(id);
    if (request === Request.STOP) return undefined;
    if (arena.changeAsked(id)) {
      place.unfinishedAccess = unfinishedAccess;
      return CHANGE;
    }
    if (request === Request.PAUSE) {
      if (!unfinishedAccess) {
        if (place.yields) return UNFINISHED;
        arena.setVcpuState(id, VcpuState.PAUSED);
        arena.waitWhileRequested(id, Request.PAUSE);
        arena.setVcpuState(id, VcpuState.RUNNING);
        continue;
      }
      // Whoever looks at the registers is to see them after the instruction.
      Atomics.store(bytes, RunOffset.immediate_exit, 1);
    }
    // KVM's emulator does not tell of a step whose instruction has left it for user space.
    const endsStep = request === Request.STEP && unfinishedAccess;
    if (endsStep) Atomics.store(bytes, RunOffset.immediate_exit, 1);

    if (kvm_run(fd, Ioctl.RUN, 0) < 0) {
      const code = errno();
      // EINTR: a kick, or immediate_exit after it; EAGAIN: a waiting AP took its SIPI.
      if (code === Errno.EINTR) {
        Atomics.store(bytes, RunOffset.immediate_exit, 0);
        unfinishedAccess = false;
        if (endsStep) arena.stopForDebugger(id, DebugStopKind.STEP_ENDED);
        if (place.yields) return UNFINISHED;
        sampler?.kicked();
        tracer?.interrupted();
        continue;
      }
      if (code === Errno.EAGAIN) continue;
      arena.stop("fault");
      return captureFault(fd, id, place.run, code);
    }

    unfinishedAccess = false;
    if (tracer !== undefined) tracer.exited();
    switch (words[RunOffset.exit_reason / 4]) {
      case Exit.IO:
        unfinishedAccess = true;
        if (halves[RunOffset["io.port"] / 2] === TRAP_PORT && arena.hasTraps) {
          arena.stopForDebugger(id, DebugStopKind.TRAP);
          break;
        }
        portAccess(bus, bytes, halves, words);
        break;
      case Exit.MMIO:
        memoryAccess(bus, bytes, words);
        unfinishedAccess = true;
        break;
      case Exit.DEBUG:
        arena.stopForDebugger(id, DebugStopKind.EXIT);
        break;
      case Exit.HLT:
        // Without interrupt controllers nothing can wake it.
        if (!place.irqchip) arena.stop("halt");
        break;
      case Exit.SHUTDOWN:
        arena.stop("triple-fault");
        return captureFault(fd, id, place.run, 0);
      case Exit.INTERNAL_ERROR:
        if (
          words[RunOffset["internal.suberror"] / 4] === INTERNAL_ERROR_EMULATION &&
          fixUp(fd, place.run)
        ) break;
        arena.stop("fault");
        return captureFault(fd, id, place.run, 0);
      case Exit.SYSTEM_EVENT:
        switch (words[RunOffset["system_event.type"] / 4]) {
          case SYSTEM_EVENT_SHUTDOWN:
            arena.stop("poweroff");
            break;
          case SYSTEM_EVENT_RESET:
            arena.stop("reset");
            break;
          case SYSTEM_EVENT_CRASH:
            arena.stop("panic");
            break;
        }
        break;
      case Exit.X86_RDMSR:
      case Exit.X86_WRMSR:
        bytes[RunOffset["msr.error"]] = 1; // the guest gets #GP, as for any MSR that isn't there
        unfinishedAccess = true;
        break;
      case Exit.INTR:
      case Exit.IRQ_WINDOW_OPEN:
      case Exit.SET_TPR:
      case Exit.X86_BUS_LOCK:
      case Exit.NOTIFY:
        break;
      default:
        arena.stop("fault");
        return captureFault(fd, id, place.run, 0);
    }

    if (tracer !== undefined) tracer.answered();
    const wait = devices.takeWait();
    if (wait !== undefined) {
      if (place.yields) return UNFINISHED;
      waitUntil(arena, id, wait);
    }
  }
}

/** A port access of `io.count` elements; `rep ins` and `rep outs` bring more than one. */
function portAccess(
  bus: Bus,
  bytes: Uint8Array,
  halves: Uint16Array,
  words: Uint32Array,
): void {
  const port = halves[RunOffset["io.port"] / 2]!;
  const size = bytes[RunOffset["io.size"]]!;
  const end = words[RunOffset["io.count"] / 4]!;
  const at = words[RunOffset["io.data_offset"] / 4]!;
  const out = bytes[RunOffset["io.direction"]] === 1;
  switch (size) {
    case 1:
      for (let i = at; i < at + end; i++) {
        if (out) bus.writePort(port, 1, bytes[i]!);
        else bytes[i] = bus.readPort(port, 1);
      }
      break;
    case 2:
      for (let i = at / 2; i < at / 2 + end; i++) {
        if (out) bus.writePort(port, 2, halves[i]!);
        else halves[i] = bus.readPort(port, 2);
      }
      break;
    case 4:
      for (let i = at / 4; i < at / 4 + end; i++) {
        if (out) bus.writePort(port, 4, words[i]!);
        else words[i] = bus.readPort(port, 4);
      }
      break;
  }
}

/** An access to an address that is not memory: 1 to 8 bytes, taken in pieces of 4, 2 and 1. */
function memoryAccess(bus: Bus, bytes: Uint8Array, words: Uint32Array): void {
  const base = words[RunOffset["mmio.phys_addr"] / 4]! +
    words[RunOffset["mmio.phys_addr"] / 4 + 1]! * 2 ** 32;
  const length = words[RunOffset["mmio.len"] / 4]!;
  const write = bytes[RunOffset["mmio.is_write"]] !== 0;
  let done = 0;
  while (done < length) {
    const left = length - done;
    const width: Width = left >= 4 ? 4 : left >= 2 ? 2 : 1;
    const at = RunOffset["mmio.data"] + done;
    if (write) bus.writeMemory(base + done, width, load(bytes, at, width));
    else store(bytes, at, width, bus.readMemory(base + done, width));
    done += width;
  }
}

function load(bytes: Uint8Array, at: number, width: Width): number {
  let value = 0;
  for (let i = width - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

function store(bytes: Uint8Array, at: number, width: Width, value: number): void {
  for (let i = 0; i < width; i++) bytes[at + i] = value >>> (8 * i);
}

/** Holds a vCPU until what its device waits for is there, or it is asked for something else. */
function waitUntil(arena: Arena, id: number, ready: () => boolean): void {
  for (;;) {
    const seen = arena.progress;
    if (ready() || arena.stopping) return;
    const request = arena.request(id);
    if ((request !== Request.RUN && request !== Request.STEP) || arena.changeAsked(id)) return;
    arena.waitForProgress(seen);
  }
}
