/**
 * What a virtio device is (virtio 1.2): its queues, features and configuration space, with no word of
 * the transport that carries it. A file a device exports one {@linkcode VirtioDeviceType}; the same
 * interface is there for `device FILE.ts`.
 *
 * @module
 */
import type { GenericSchema } from "valibot";
import type { Json, StructType } from "../../ffi/struct.ts";
import type { Backing } from "../backing.ts";
import type { ByteSink, DeviceEvent, PrepareContext, Prepared, Width } from "../device.ts";
import type { GuestMemory } from "../guest_memory.ts";
import type { IoLoop } from "../io_loop.ts";

/** Feature bits of every device (§6). */
export const Feature = {
  INDIRECT_DESC: 28,
  EVENT_IDX: 29,
  VERSION_1: 32,
} as const;

/**
 * The driver has broken the protocol: thrown by a queue, or by a device for what it cannot answer.
 * The device goes to DEVICE_NEEDS_RESET, and nothing else notices.
 */
export class ProtocolError extends Error {
  override name = "ProtocolError";
}

/**
 * A buffer that the driver made available: a chain of descriptors, read once and checked, each in one
 * piece inside guest memory. Valid from `pop` to `push`; objects are used again.
 */
export interface Chain {
  /** Bytes that the device may read. */
  readonly readable: number;
  /** Bytes that the device may write. */
  readonly writable: number;
  /**
   * Copies from the readable part.
   *
   * @param offset Bytes from its start
   * @param target Where to; filled from its start
   * @returns How many bytes there were, at most `target.length`
   */
  read(offset: number, target: Uint8Array): number;
  /**
   * Copies into the writable part.
   *
   * @param offset Bytes from its start
   * @param source What to write
   * @returns How many bytes fitted
   */
  write(offset: number, source: Uint8Array): number;
  /** A byte of the readable part; throws {@linkcode ProtocolError} past its end, like all of these. */
  readU8(offset: number): number;
  /** A little-endian `le16` of the readable part, split over descriptors or not. */
  readU16(offset: number): number;
  /** A little-endian `le32` of the readable part. */
  readU32(offset: number): number;
  /** A little-endian `le64` of the readable part as a number; above 2^53 it is rounded, so check it. */
  readU64(offset: number): number;
  /** Writes a byte of the writable part. */
  writeU8(offset: number, value: number): void;
  /** Writes a little-endian `le16` of the writable part. */
  writeU16(offset: number, value: number): void;
  /** Writes a little-endian `le32` of the writable part. */
  writeU32(offset: number, value: number): void;
  /** Writes a little-endian `le64` of the writable part. */
  writeU64(offset: number, value: number): void;
  /**
   * Live views of a range of the readable part, a piece for each descriptor.
   *
   * @param offset Bytes from its start
   * @param length Bytes; what is past the end is left out
   */
  readableViews(offset: number, length?: number): Uint8Array<ArrayBuffer>[];
  /** Live views of a range of the writable part. */
  writableViews(offset: number, length?: number): Uint8Array<ArrayBuffer>[];
  /**
   * Writes `struct iovec`s (base and length, two `u64`) for a range of the readable part, with
   * addresses of this process, so that the kernel reads guest memory itself.
   *
   * @param offset Bytes from its start
   * @param length Bytes; what is past the end is left out
   * @param target Where to; 16 bytes an entry
   * @param at Index of the first entry
   * @returns How many entries; never more than 1024 - at (IOV_MAX), nor than `target` holds
   */
  readableIovecs(offset: number, length: number, target: Uint32Array, at?: number): number;
  /** The same for a range of the writable part. */
  writableIovecs(offset: number, length: number, target: Uint32Array, at?: number): number;
  /** How many descriptors the readable part has, zero-length ones left out. */
  readonly readableCount: number;
  /** How many descriptors the writable part has, zero-length ones left out. */
  readonly writableCount: number;
}

/** One queue, for whichever thread holds the device's lock. */
export interface Virtqueue {
  /** Its number. */
  readonly index: number;
  /** Descriptors, as the driver set it. */
  readonly size: number;
  /** Whether the driver has enabled it and the device runs: DRIVER_OK, no reset needed. */
  readonly ready: boolean;
  /** Chains that wait to be popped; 0 while the queue is not ready. */
  readonly waiting: number;
  /**
   * Takes the next chain.
   *
   * @returns The chain, or undefined if there is none or the queue is not ready
   * @throws {ProtocolError} If the ring lies
   */
  pop(): Chain | undefined;
  /** Puts the chain that was popped last back, untouched: it is popped again the next time. */
  unpop(chain: Chain): void;
  /**
   * Gives a chain back to the driver as used. Any order; each popped chain once. A chain popped before
   * a reset is dropped.
   *
   * @param chain The chain
   * @param written How many bytes of its writable part the device has written, from the start
   */
  push(chain: Chain, written: number): void;
  /** Interrupts the driver if it wants to hear of what was pushed since last time: once a batch. */
  signal(): void;
  /** Asks the driver for no notifications: the device looks by itself. */
  disableNotifications(): void;
  /**
   * Asks the driver for notifications again.
   *
   * @returns Whether chains came meanwhile, for which there may be none
   */
  enableNotifications(): boolean;
}

/** What a virtio device is given, in each thread that runs it. */
export interface VirtioContext {
  /** The device's name in its document, `disk0`. */
  readonly name: string;
  /** Its own slice of the arena, as long as its state layout: configuration, counters. Zero at first. */
  readonly state: DataView;
  /** Guest memory. */
  readonly memory: GuestMemory;
  /** The machine's output ring of this device, for a console. */
  readonly output: ByteSink;
  /** Its queues, by number. */
  readonly queues: readonly Virtqueue[];
  /** Whether a feature was negotiated; false before FEATURES_OK. */
  has(feature: number): boolean;
  /** Whether the driver has set DRIVER_OK, and no reset is needed or under way. */
  readonly running: boolean;
  /** Tells the driver that the configuration space has changed. */
  configChanged(): void;
  /** Sets DEVICE_NEEDS_RESET; throwing {@linkcode ProtocolError} does the same. */
  fail(reason: string): void;
  /** Tells whoever watches the VM. */
  event(event: DeviceEvent): void;
  /** Has {@linkcode VirtioDevice.wake} called on the I/O thread soon; from any thread. */
  wake(): void;
  /** Milliseconds of a monotonic clock that all threads share. */
  monotonic(): number;
  /** Ends the VM. */
  stop(kind: "poweroff" | "reset" | "panic"): void;
  /**
   * Has the main thread offer input to {@linkcode VirtioDevice.receive} again, after a call that took
   * less than it was given; from any thread. The machine's own `rearm`.
   */
  rearm(): void;
}

/** A virtio device as one thread sees it. Everything is called under the device's lock. */
export interface VirtioDevice {
  /** The feature bits it offers; the transport adds those of every device (§6). */
  readonly features: readonly number[];
  /** Those that it offered in earlier versions: a driver that goes on from then may have chosen them. */
  readonly formerFeatures?: readonly number[];
  /** Bytes of its configuration space. */
  readonly configSize: number;
  /** Reads the configuration space; never past its end. */
  readConfig(offset: number, width: Width): number;
  /** Writes the configuration space; left out where nothing of it can be written. */
  writeConfig?(offset: number, width: Width, value: number): void;
  /** Puts its own state to what it is after power-on. What the host set (capacity, MAC) may stay. */
  reset(): void;
  /** The driver has set DRIVER_OK: called before any notification. In whichever thread wrote it. */
  started?(): void;
  /**
   * Its state was written from outside, as another device of its kind had it: called in the main
   * thread, before the machine starts. The driver may be running already.
   *
   * @throws {TypeError} Naming a field that can't be so
   */
  restored?(): void;
  /** What of the host stands behind it, as a saved state remembers it. In the main thread. */
  backing?(): readonly Backing[];
  /** Has what the guest has written reach the host's storage; as {@linkcode Device.flush}, with no lock. */
  flush?(): Promise<void>;
  /**
   * The driver has made chains available on a queue. On the I/O thread, except for queues named in
   * {@linkcode VirtioDeviceType.inline}.
   */
  notified(queue: number): void;
  /**
   * Once, on the I/O thread, before anything else there: watch descriptors, make io_urings.
   *
   * @param loop Watches descriptors
   * @param kept What {@linkcode kept} gave, if it goes on from a saved state; not to be trusted
   */
  attend?(loop: IoLoop, kept?: Json): void;
  /**
   * On the I/O thread, while nothing is in flight: what it has to remember that its state does not have.
   * What this thread alone knows of its storage goes there too.
   */
  kept?(): Json | undefined;
  /** On the I/O thread, after {@linkcode VirtioContext.wake} or output's reader caught up. */
  wake?(): void;
  /**
   * How many chains it has in the hands of the kernel, which may still write guest memory. A reset
   * waits until this is 0; it must come to 0 in bounded time after {@linkcode cancel}. Kept in the
   * device's state, since any thread asks.
   */
  inFlight?(): number;
  /** On the I/O thread: a reset waits; give up what can be given up. */
  cancel?(): void;
  /** On the I/O thread, when the VM has ended: whether output of the guest's waits for a reader. */
  unsent?(): boolean;
  /** On the I/O thread, when the device or the VM goes: free what `attend` opened. */
  close?(): void;
  /** Takes input bytes (a console's keyboard); gives how many of them it took. In the main thread. */
  receive?(bytes: Uint8Array): number;
  /** Whether a guest listens to that input. In the main thread. */
  listening?(): boolean;
  /** A named action from outside, in the main thread; false if it has none of that name. */
  action?(name: string, value?: string): boolean;
  /** Its counters since the VM's start, by name: bytes, requests, errors. In the main thread. */
  stats?(): Readonly<Record<string, number>>;
  /** Names of those that stand for now and don't count: a size, a state. */
  readonly gauges?: readonly string[];
}

/** A kind of virtio device. */
// deno-lint-ignore no-explicit-any -- each kind has a configuration of its own
export interface VirtioDeviceType<Config = any> {
  /** The word in the document's `type`. */
  readonly type: string;
  /** The virtio device ID (§5): 2 for a block device. */
  readonly virtio: number;
  /** PCI class code, 24 bits; what it is to a guest that lists it. */
  readonly pciClass: number;
  /** Layout of its state in the arena. */
  // deno-lint-ignore no-explicit-any -- any layout at all
  readonly state: StructType<any>;
  /** Checks its entry of the document and fills in defaults; an object schema that keeps unknown keys. */
  readonly schema?: GenericSchema<unknown, Config>;
  /** The largest size of each of its queues, powers of two up to 32768. */
  queues(config: Config): readonly number[];
  /** Queues whose notifications are worked in the vCPU's own thread, being short. Default none. */
  readonly inline?: readonly number[];
  /** Before the VM is made, in the main thread: opens files, starts helpers. */
  prepare?(config: Config, context: PrepareContext): Promise<Prepared<Config>>;
  /** Opens the device over its state in the calling thread; it must not write the state. */
  open(config: Config, context: VirtioContext): VirtioDevice;
}
