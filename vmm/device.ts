/**
 * What a device is: a class over its slice of the shared arena, with handlers for ranges of ports
 * and addresses. The bus calls a handler under the device's own lock, from whichever vCPU's thread
 * made the access, so device code holds no lock itself and keeps every register in its slice.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import type { Json, StructType } from "../ffi/struct.ts";
import type { GuestMemory } from "./guest_memory.ts";
import type { Backing } from "./backing.ts";
import type { IoLoop } from "./io_loop.ts";
import type { PciFunction, PciInterrupts } from "./pci/function.ts";

/** Bytes of one access as a handler sees it; the bus splits what is wider. */
export type Width = 1 | 2 | 4;

/** The one handler signature for port and memory I/O. */
export interface IoHandler {
  /**
   * @param offset Bytes from the start of the range
   * @param width 1, 2 or 4, never above the range's `maxWidth`, never past the range's end
   * @returns The value, an unsigned number of that width
   */
  read(offset: number, width: Width): number;
  /**
   * @param offset Bytes from the start of the range
   * @param width 1, 2 or 4, never above the range's `maxWidth`, never past the range's end
   * @param value An unsigned number of that width
   */
  write(offset: number, width: Width, value: number): void;
}

/** A range of ports or guest-physical addresses that a device answers. */
export interface IoRange {
  /** Port I/O or memory-mapped I/O. */
  readonly space: "pio" | "mmio";
  /** First port or guest-physical address. */
  readonly base: number;
  /** How many ports or bytes. */
  readonly size: number;
  /** The widest access the handler takes; the bus splits wider ones, low address first. */
  readonly maxWidth: Width;
  /** Who answers. */
  readonly handler: IoHandler;
  /**
   * Of ranges of ports that lie over one another, the one with the highest gets the accesses that
   * start in it; two of the same may not. Default 0.
   */
  readonly priority?: number;
}

/** Why a VM came to its end. */
export type StopKind =
  /** HLT with no interrupt controller, or every vCPU halted for good. */
  | "halt"
  /** ACPI S5 or its like: the guest turned itself off. */
  | "poweroff"
  /** The guest reset its machine. */
  | "reset"
  /** The guest wrote an exit status of its own (debug exit port). */
  | "exit"
  /** The guest said that its kernel crashed. */
  | "panic";

/** A level-triggered or edge-triggered interrupt input of the machine. */
export interface InterruptLine {
  /** Drives the line; a no-op when the machine has no interrupt controller. */
  set(level: boolean): void;
}

/** Where a device's output bytes go: never blocks, never grows. */
export interface ByteSink {
  /** Takes one byte. Once it is not `ready` it still takes 8 KiB, then drops and counts. */
  write(byte: number): void;
  /** Takes several bytes, at most 4096; the same holds for them. */
  writeAll(bytes: Uint8Array): void;
  /** Whether the reader keeps up. A device with flow control shows this to its guest. */
  readonly ready: boolean;
}

/** Something that happened to a device; whoever watches the VM is told. Plain data. */
export interface DeviceEvent {
  /** What: `needs-reset`, `eject`, `error`. */
  readonly kind: string;
  /** One line for a person. */
  readonly message?: string;
  /** More, by name. */
  readonly [detail: string]: unknown;
}

/** An eventfd of a device that KVM signals when the guest writes somewhere (KVM_IOEVENTFD). */
export interface IoEvent {
  /** The descriptor, for {@linkcode IoLoop.watch}. */
  readonly fd: number;
  /** Signals it from this process. */
  signal(): void;
  /**
   * Has KVM signal it, in place of an exit, for writes of a width to an address. Where KVM can't, the
   * write stays an exit, and the device's handler signals.
   *
   * @param space Port I/O or memory-mapped I/O
   * @param address Port or guest-physical address
   * @param width Bytes of the write: 1, 2 or 4
   * @param value Only for writes of this value; any if left out
   */
  attach(space: IoRange["space"], address: number, width: Width, value?: number): void;
  /** Undoes {@linkcode attach}, which may have been done in another thread; the same arguments. */
  detach(space: IoRange["space"], address: number, width: Width, value?: number): void;
}

/** What a device's {@linkcode DeviceType.prepare} is given. */
export interface PrepareContext {
  /** The device's name in its document. */
  readonly name: string;
  /** The VM's name, if it has one. */
  readonly vm?: string;
  /**
   * Whether another machine, in whose place this one is to go on, still uses what the device is to open:
   * what only one may have it takes with the action `reclaim`.
   */
  readonly arriving?: boolean;
  /** Tells whoever watches the VM. */
  event(event: DeviceEvent): void;
}

/** What a device's {@linkcode DeviceType.prepare} has opened. */
export interface Prepared<Config> extends AsyncDisposable {
  /** The configuration that `open` gets in every thread: plain data, descriptors as numbers. */
  readonly config: Config;
}

/** What a device is given by its machine, in each thread that runs it. */
export interface DeviceContext {
  /** The device's name in its document, `serial0`. */
  readonly name: string;
  /** The device's slice of the arena, as long as its state layout, zero at first. */
  readonly state: DataView;
  /** Guest memory, for devices that do DMA. */
  readonly memory: GuestMemory;
  /** The machine's output ring of this device. */
  readonly output: ByteSink;
  /** Opens an interrupt line by its GSI number. */
  interrupt(gsi: number): InterruptLine;
  /** Milliseconds of a monotonic clock that all threads share. */
  monotonic(): number;
  /** Milliseconds since 1970, UTC. */
  realtime(): number;
  /** Ends the VM; `status` is the guest's own exit status where it gave one. */
  stop(kind: StopKind, status?: number): void;
  /** Asks for `expire` to be called again when {@linkcode Device.deadline} changed. */
  rearm(): void;
  /** Interrupts of a PCI function; for devices whose type says `bus: "pci"`. */
  readonly pci: PciInterrupts | undefined;
  /** Its eventfds, as many as {@linkcode DeviceType.events} asks for. */
  readonly events: readonly IoEvent[];
  /** Tells whoever watches the VM. */
  event(event: DeviceEvent): void;
  /** Has {@linkcode Device.wake} called on the I/O thread soon; from any thread. */
  wake(): void;
  /**
   * Has the vCPU that makes this access wait, outside of the device's lock, until a condition holds.
   *
   * @param ready Asked again whenever some device calls {@linkcode DeviceContext.progress}
   */
  hold(ready: () => boolean): void;
  /** Has vCPUs that {@linkcode hold} look again. */
  progress(): void;
}

/** A device as one thread sees it. */
export interface Device {
  /** The ranges that it answers; fixed for its life. */
  readonly ranges: readonly IoRange[];
  /** Puts the registers to their power-on values. Called once before the VM's first start too. */
  reset(): void;
  /** Whether a reset still waits for what the host's kernel has of the device in its hands. */
  resetting?(): boolean;
  /** How much it has in the hands of the host's kernel, which may still write guest memory. */
  inFlight?(): number;
  /** In the main thread: begins nothing new; what is in flight may still end, on the I/O thread. */
  freeze?(): void;
  /** In the main thread: goes on after `freeze`, and looks for what it was not told of meanwhile. */
  thaw?(): void;
  /**
   * Its registers were written from outside, as another device of its kind had them: what follows from
   * them is done again, interrupt lines driven, connections made. Once, under the lock, in the main
   * thread, before the machine starts; `reset` was called before.
   *
   * @param moved Whether it is the one machine that goes on elsewhere, no copy of it
   * @throws {TypeError} Naming a register that can't be so
   */
  restored?(moved?: boolean): void;
  /** What of the host stands behind it, as a saved state remembers it. In the main thread. */
  backing?(): readonly Backing[];
  /**
   * Has what the guest has written reach the host's storage, however long that takes. In the main thread,
   * outside of the device's lock, frozen or not.
   *
   * @throws {HostError} If it did not
   */
  flush?(): Promise<void>;
  /** The machine has stood still for so many milliseconds: a time that only its guest may use up is later. */
  stood?(milliseconds: number): void;
  /** Takes input bytes (a console's keyboard); gives how many of them it took. */
  receive?(bytes: Uint8Array): number;
  /** Whether a guest listens to it; a device that can't tell leaves it out, and comes second. */
  listening?(): boolean;
  /** A named action from outside: `powerbutton`, `break`, `nmi`. False if it has none of that name. */
  action?(name: string, value?: string): boolean;
  /** When {@linkcode expire} is due, on the context's monotonic clock; Infinity for never. */
  deadline?(): number;
  /** Called, under the lock, at or after the deadline. */
  expire?(): void;
  /** What it is on the PCI bus; for devices whose type says `bus: "pci"`. */
  readonly pci?: PciFunction;
  /**
   * Once, under the lock, on the I/O thread, which then calls what it is asked to.
   *
   * @param loop What to ask
   * @param kept What {@linkcode kept} gave, if it goes on from a saved state; not to be trusted
   */
  attend?(loop: IoLoop, kept?: Json): void;
  /**
   * On the I/O thread, between `freeze` and `thaw`: what it has to remember that its registers don't tell;
   * what this thread alone knows of its storage goes there too.
   */
  kept?(): Json | undefined;
  /** On the I/O thread, after {@linkcode DeviceContext.wake}, and when output has room again. */
  wake?(): void;
  /** On the I/O thread, when the device or the VM goes: frees what `attend` opened. */
  close?(): void;
  /**
   * On the I/O thread, when the VM has ended: whether output that the guest has handed over still waits
   * for a reader of the host's.
   */
  unsent?(): boolean;
  /** Counters since the VM's start, by name. */
  stats?(): Readonly<Record<string, number>>;
  /** Names of those that stand for now and don't count: a size, a state. */
  readonly gauges?: readonly string[];
}

/** A kind of device: what its module exports, and what a user's `device FILE.ts` exports as default. */
// deno-lint-ignore no-explicit-any -- each kind has a configuration of its own
export interface DeviceType<Config = any> {
  /** The word in the document's `type`. */
  readonly type: string;
  /** Layout of its registers in the arena. */
  // deno-lint-ignore no-explicit-any -- any layout at all
  readonly state: StructType<any>;
  /** `pci` for a PCI function: its device has {@linkcode Device.pci}. */
  readonly bus?: "pci";
  /** The virtio device ID, if it is a virtio device over some transport. */
  readonly virtio?: number;
  /** Checks its entry of the document and fills in defaults; an object schema that keeps unknown keys. */
  readonly schema?: GenericSchema<unknown, Config>;
  /** How many eventfds it wants. Default 0. */
  events?(config: Config): number;
  /** Before the VM is made, in the main thread: opens files, starts helpers. */
  prepare?(config: Config, context: PrepareContext): Promise<Prepared<Config>>;
  /**
   * Opens the device over its slice in the calling thread; called in several threads with the
   * same slice, so it must not write the slice (that is `reset`'s work).
   *
   * @param config Its entry of the document, defaults filled in
   * @param context What the machine gives it
   */
  open(config: Config, context: DeviceContext): Device;
}

/** One device of a machine as the threads are told of it. */
export interface DevicePlan {
  /** Its unique name, `serial0`. */
  readonly name: string;
  /** Its kind. */
  readonly type: string;
  /** URL of a user's module, for `device FILE.ts`. */
  readonly module?: string;
  /** The entry of the document, and what `prepare` made of it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How a virtio device is reached. */
  readonly transport?: Transport;
  /** Its slot on the PCI bus. */
  readonly slot?: number;
  /** Which I/O thread serves it. */
  readonly io: number;
  /** Its eventfds. */
  readonly eventFds: readonly number[];
}

/** How a virtio device is reached. */
export type Transport = "pci" | "mmio";
