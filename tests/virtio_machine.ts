/**
 * A machine around one virtio device, without KVM, for tests: guest memory, a transport with its real
 * registers, eventfds, an I/O thread's loop that the test turns, and drivers for the queues.
 *
 *     import { VirtioMachine } from "../../tests/virtio_machine.ts";
 *
 *     Deno.test("reads a sector", async () => {
 *       await using vm = await VirtioMachine.open(disk, { path });          // to DRIVER_OK
 *       const request = vm.driver(0).add({ read: [header], write: [512, 1] });
 *       vm.kick(0);                                // as the guest: a write to the notify register
 *       vm.poll(1000);                             // as the I/O thread: waits at most 1 s for work
 *       const [used] = vm.driver(0).collect();     // { request, written }
 *       assert.equal(used.request.written(1)[0], 0);
 *       assert(vm.takeInterrupt(0));
 *     });
 *
 *     for (const transport of ["pci", "mmio"] as const) …open(disk, { path }, { transport })
 *
 * What a request is made of, and how a driver misbehaves, is in `virtio_driver.ts`. The device is
 * opened three times over one state, as a vCPU's, the I/O thread and the main thread would: what it
 * keeps outside its state is soon missed. `poll` gives how much was done, and goes on until nothing
 * is left; `until` turns the loop, and the test's own event loop, until something holds.
 *
 * @module
 */
import "./c_library.ts";
import assert from "node:assert/strict";
import * as v from "valibot";
import { monotonicMilliseconds } from "../ffi/clock.ts";
import { EventFd } from "../ffi/eventfd.ts";
import type {
  Device,
  DeviceContext,
  DeviceEvent,
  IoEvent,
  Prepared,
  StopKind,
  Transport,
} from "../vmm/device.ts";
import type { GuestMemory } from "../vmm/guest_memory.ts";
import type { PciInterrupts } from "../vmm/pci/function.ts";
import { virtioMmio } from "../vmm/virtio/mmio_transport.ts";
import { virtioPci } from "../vmm/virtio/pci_transport.ts";
import { Status } from "../vmm/virtio/status.ts";
import { Feature, type VirtioDeviceType } from "../vmm/virtio/virtio_device.ts";
import { GuardedMemory, type GuardedRegion } from "./guarded_memory.ts";
import { PolledIoLoop } from "./polled_io_loop.ts";
import { GuestHeap, VirtioDriver } from "./virtio_driver.ts";
import { MmioRegisters, PciRegisters, type VirtioRegisters } from "./virtio_registers.ts";

/** Where the device's registers are, for both transports. */
const BASE = 0xd000_0000;
const IRQ = 10;
const HEAP = 0x10_0000;
const MIB = 2 ** 20;
/** 16 MiB at 0, where drivers take their buffers, and 1 MiB at 4 GiB. */
const MEMORY: readonly GuardedRegion[] = [
  { base: 0, size: 16 * MIB },
  { base: 2 ** 32, size: MIB },
];

/** Both transports, to run a test over each. */
export const TRANSPORTS: readonly Transport[] = ["pci", "mmio"];

/** What a test may choose. */
export interface VirtioMachineOptions {
  /** Default `pci`. */
  readonly transport?: Transport;
  /** Whether the driver uses MSI-X; over MMIO it never does. Default true. */
  readonly msix?: boolean;
  /** Feature bits that the driver does not choose. Default none: it takes what is offered. */
  readonly without?: readonly number[];
  /** Descriptors of each queue; never more than the device's maximum. Default that maximum. */
  readonly queueSize?: number;
  /** Guest memory; drivers take theirs from 1 MiB in the first region. */
  readonly memory?: readonly GuardedRegion[];
  /** Whether clocks stand still until {@linkcode VirtioMachine.advance}. Default false. */
  readonly fakeClock?: boolean;
  /** Whether to go on to DRIVER_OK. Default true. */
  readonly start?: boolean;
  /** Whether KVM signals eventfds; else each notification is an exit. Default true. */
  readonly ioeventfd?: boolean;
}

/** A machine with one virtio device. */
export class VirtioMachine implements AsyncDisposable {
  /** Guest memory, with guards around it. */
  readonly guarded: GuardedMemory;
  /** Where buffers come from. */
  readonly heap: GuestHeap;
  /** The device's registers, in a vCPU's thread. */
  readonly registers: VirtioRegisters;
  /** The I/O thread's loop. */
  readonly loop: PolledIoLoop;
  /** The device in the vCPU's, the I/O and the main thread. */
  readonly threads: { readonly vcpu: Device; readonly io: Device; readonly main: Device };
  /** Each call of `event`. */
  readonly events: DeviceEvent[] = [];
  /** Each call of `stop`. */
  readonly stops: StopKind[] = [];
  /** What the device put out. */
  readonly output: number[] = [];
  /** Whether the output's reader keeps up. */
  outputReady = true;
  /** How often the device asked that input be offered again. */
  rearms = 0;
  /** How often interrupts came: by vector, and those of the line. */
  readonly interrupts = { vectors: new Map<number, number>(), line: 0, level: false };
  readonly #options: VirtioMachineOptions;
  readonly #prepared: Prepared<unknown> | undefined;
  readonly #eventFds: EventFd[];
  readonly #attached = new Map<string, EventFd>();
  readonly #seen = new Set<number>();
  readonly #sizes: readonly number[];
  #drivers: VirtioDriver[] = [];
  #holds: (() => boolean)[] = [];
  #clock = 1_000_000;
  #woken = false;
  #msix = false;
  #deviceClosed = false;
  #closed = false;

  private constructor(
    type: VirtioDeviceType,
    config: Record<string, unknown>,
    prepared: Prepared<unknown> | undefined,
    options: VirtioMachineOptions,
  ) {
    this.#options = options;
    this.#prepared = prepared;
    this.guarded = new GuardedMemory(options.memory ?? MEMORY);
    const [first] = this.memory.regions;
    this.heap = new GuestHeap(first!.base + HEAP, first!.buffer.byteLength - HEAP);
    this.loop = new PolledIoLoop(() => this.now);
    this.#sizes = type.queues(config);
    const transport = options.transport ?? "pci";
    const kind = transport === "pci" ? virtioPci(type) : virtioMmio(type);
    const full = transport === "pci" ? config : { ...config, mmio: { base: BASE, irq: IRQ } };
    this.#eventFds = Array.from({ length: kind.events!(full) }, () => new EventFd());
    const state = new SharedArrayBuffer(kind.state.size);
    const open = () => kind.open(full, this.#context(type.type, state, transport));
    this.threads = { vcpu: open(), io: open(), main: open() };
    const { vcpu } = this.threads;
    this.registers = transport === "pci" ? new PciRegisters(vcpu) : new MmioRegisters(vcpu);
    this.#msix = transport === "pci" && (options.msix ?? true);
    vcpu.reset();
    vcpu.pci?.decoded?.(0, BASE);
    this.threads.io.attend!(this.loop);
  }

  /**
   * Opens a device as a machine would, and drives it to DRIVER_OK.
   *
   * @param type The device
   * @param config Its entry of the document, without what the schema fills in
   * @param options How
   */
  static async open(
    type: VirtioDeviceType,
    config: Record<string, unknown> = {},
    options: VirtioMachineOptions = {},
  ): Promise<VirtioMachine> {
    const checked = type.schema === undefined ? config : v.parse(type.schema, config);
    const early: DeviceEvent[] = [];
    const prepared = await type.prepare?.(checked, {
      name: `${type.type}0`,
      event: (event) => void early.push(event),
    });
    const full = (prepared?.config ?? checked) as Record<string, unknown>;
    const vm = new VirtioMachine(type, full, prepared, options);
    vm.events.push(...early);
    if (options.start ?? true) vm.start();
    return vm;
  }

  /** Guest memory. */
  get memory(): GuestMemory {
    return this.guarded.guest;
  }

  /** Milliseconds of the monotonic clock. */
  get now(): number {
    return this.#options.fakeClock ? this.#clock : monotonicMilliseconds();
  }

  /** The largest size of each queue. */
  get queues(): readonly number[] {
    return this.#sizes;
  }

  /** The device's status register. */
  get status(): number {
    return this.registers.status;
  }

  /** The features that the driver has chosen. */
  get features(): bigint {
    const without = (this.#options.without ?? []).map((bit) => 1n << BigInt(bit));
    return without.reduce((features, bit) => features & ~bit, this.registers.offered);
  }

  /** What the main thread is told by `stats`. */
  get stats(): Readonly<Record<string, number>> {
    return this.threads.main.stats!();
  }

  /**
   * The driver of a queue; each {@linkcode start} makes new ones.
   *
   * @param queue Its number
   */
  driver(queue: number): VirtioDriver {
    return this.#drivers[queue]!;
  }

  /** ACKNOWLEDGE, DRIVER, features, FEATURES_OK: all but the queues. */
  negotiate(): void {
    const { registers } = this;
    registers.status = Status.ACKNOWLEDGE;
    registers.status |= Status.DRIVER;
    registers.chosen = this.features;
    registers.status |= Status.FEATURES_OK;
    assert((registers.status & Status.FEATURES_OK) !== 0, "the device refuses the features");
  }

  /** Makes drivers for the queues, and enables these. */
  setUpQueues(): void {
    const eventIdx = (this.features & (1n << BigInt(Feature.EVENT_IDX))) !== 0n;
    this.#drivers = this.#sizes.map((most) =>
      new VirtioDriver(this.memory, this.heap, {
        size: Math.min(most, this.#options.queueSize ?? most),
        eventIdx,
      })
    );
    if (this.#msix) this.registers.useVectors();
    for (const [queue, driver] of this.#drivers.entries()) {
      this.registers.enableQueue(queue, driver);
    }
  }

  /** From status 0 to DRIVER_OK, as a driver does it (§3.1). */
  start(): void {
    this.negotiate();
    this.setUpQueues();
    this.registers.status |= Status.DRIVER_OK;
  }

  /**
   * Resets the device as a driver does: writes 0 and waits until it reads 0.
   *
   * @param timeout Milliseconds that the device may take
   */
  reset(timeout = 5000): void {
    this.registers.status = 0;
    this.waitForHolds(timeout);
    assert.equal(this.status, 0);
    for (const driver of this.#drivers.splice(0)) driver.discard();
  }

  /** As a vCPU that the device holds: turns the I/O thread's loop until it may go on. */
  waitForHolds(timeout = 5000): void {
    const deadline = monotonicMilliseconds() + timeout;
    for (const ready of this.#holds.splice(0)) {
      while (!ready()) {
        assert(monotonicMilliseconds() < deadline, "the device holds the vCPU for too long");
        this.poll(10);
      }
    }
  }

  /** Notifies of a queue, whether the device wants it or not. */
  kick(queue: number): void {
    const { offset, width, value } = this.registers.notification(queue);
    const { raw } = this.registers;
    const eventFd = this.#attached.get(key(BASE + offset, width, value)) ??
      this.#attached.get(key(BASE + offset, width));
    if (eventFd === undefined) raw.write(offset, width, value);
    else eventFd.signal();
  }

  /** Notifies of a queue as drivers do: only if the device wants it. Gives whether it did. */
  notify(queue: number): boolean {
    const wanted = this.driver(queue).takeKick();
    if (wanted) this.kick(queue);
    return wanted;
  }

  /**
   * Has the I/O thread do what there is to do, until there is nothing more.
   *
   * @param timeout How many milliseconds to wait for the first piece of work. Default 0
   * @returns How many pieces of work were done
   */
  poll(timeout = 0): number {
    let total = this.#takeWake();
    total += this.loop.poll(total > 0 ? 0 : timeout);
    while (this.#takeWake() > 0) total += 1 + this.loop.poll();
    return total;
  }

  /**
   * Turns the I/O thread's loop, and the test's own, until something holds.
   *
   * @param holds What
   * @param timeout Milliseconds; the test fails then
   */
  async until(holds: () => boolean, timeout = 5000): Promise<void> {
    const deadline = monotonicMilliseconds() + timeout;
    while (!holds()) {
      assert(monotonicMilliseconds() < deadline, `not in ${timeout} ms: ${holds}`);
      if (this.poll(1) === 0) await new Promise((turn) => setTimeout(turn, 0));
    }
  }

  /** Moves a fake clock on, and does what is due on the way. */
  advance(milliseconds: number): void {
    const end = this.#clock + milliseconds;
    while (this.loop.nextTimer <= end) {
      this.#clock = Math.max(this.#clock, this.loop.nextTimer);
      this.poll();
    }
    this.#clock = end;
    this.poll();
  }

  /**
   * Whether an interrupt came for a queue since this was asked last. Without MSI-X, any queue's
   * interrupt is every queue's; ISR is read, and its bits are acknowledged.
   *
   * @param queue Its number; -1 for configuration changes
   */
  takeInterrupt(queue: number): boolean {
    if (this.#msix) {
      const came = this.interrupts.vectors.get(queue + 1) ?? 0;
      this.interrupts.vectors.delete(queue + 1);
      return came > 0;
    }
    if (this.interrupts.level) {
      const isr = this.registers.takeIsr();
      assert.equal(this.interrupts.level, false, "the line stays high");
      if ((isr & 1) !== 0) this.#sizes.forEach((_, i) => this.#seen.add(i));
      if ((isr & 2) !== 0) this.#seen.add(-1);
    }
    return this.#seen.delete(queue);
  }

  /** Where KVM signals eventfds now: addresses, in order. */
  get attachments(): readonly string[] {
    return [...this.#attached.keys()].sort();
  }

  /** As the machine does when the device or the VM goes. */
  closeDevice(): void {
    if (this.#deviceClosed) return;
    this.#deviceClosed = true;
    this.threads.io.close?.();
  }

  /** The device goes: no byte beside guest memory may have been written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.closeDevice();
    const { intact } = this.guarded;
    this.loop[Symbol.dispose]();
    for (const eventFd of this.#eventFds) eventFd[Symbol.dispose]();
    this.guarded[Symbol.dispose]();
    await this.#prepared?.[Symbol.asyncDispose]();
    assert(intact, "bytes beside guest memory were written");
  }

  #takeWake(): number {
    if (!this.#woken) return 0;
    this.#woken = false;
    this.threads.io.wake?.();
    return 1;
  }

  #context(name: string, state: SharedArrayBuffer, transport: Transport): DeviceContext {
    const isReady = () => this.outputReady;
    return {
      name: `${name}0`,
      state: new DataView(state),
      memory: this.memory,
      output: {
        write: (byte) => void this.output.push(byte),
        writeAll: (bytes) => void this.output.push(...bytes),
        get ready() {
          return isReady();
        },
      },
      interrupt: () => ({ set: (level) => this.#setLine(level) }),
      monotonic: () => this.now,
      realtime: Date.now,
      stop: (kind) => void this.stops.push(kind),
      rearm: () => void this.rearms++,
      pci: transport === "pci" ? this.#pci() : undefined,
      events: this.#eventFds.map((eventFd) => this.#ioEvent(eventFd)),
      event: (event) => void this.events.push(event),
      wake: () => {
        this.#woken = true;
      },
      hold: (ready) => void this.#holds.push(ready),
      progress() {},
    };
  }

  #pci(): PciInterrupts {
    const isMsix = () => this.#msix;
    return {
      get msixEnabled() {
        return isMsix();
      },
      signal: (vector) => {
        if (!this.#msix || vector > this.#sizes.length) return;
        this.interrupts.vectors.set(vector, (this.interrupts.vectors.get(vector) ?? 0) + 1);
      },
      setIntx: (level) => this.#setLine(level),
    };
  }

  #setLine(level: boolean): void {
    if (level && !this.interrupts.level) this.interrupts.line++;
    this.interrupts.level = level;
  }

  #ioEvent(eventFd: EventFd): IoEvent {
    return {
      fd: eventFd.fd,
      signal: () => eventFd.signal(),
      attach: (_space, address, width, value) => {
        if (this.#options.ioeventfd === false) return;
        const place = key(address, width, value);
        assert(!this.#attached.has(place), `${place} is attached already`);
        this.#attached.set(place, eventFd);
      },
      detach: (_space, address, width, value) => {
        const had = this.#attached.delete(key(address, width, value));
        assert(had || this.#options.ioeventfd === false, "what is detached was not attached");
      },
    };
  }
}

function key(address: number, width: number, value?: number): string {
  return `0x${address.toString(16)} ${width}${value === undefined ? "" : ` = ${value}`}`;
}
