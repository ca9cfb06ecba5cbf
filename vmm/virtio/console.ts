/**
 * virtio-console (virtio 1.2 §5.3): a console, and named ports for programs beside it.
 *
 *     queue  0  1   the console (port 0): receive, transmit
 *            2  3   control: receive, transmit
 *            4  5   port 1, and so on
 *
 * Port 0 is the machine's own: its output goes to the machine's ring, its input comes from the main
 * thread. The other ports are worked on the I/O thread (`console/host_port.ts`).
 *
 * @module
 */
import type { Struct } from "../../ffi/struct.ts";
import { type OpenHostEnd, openHostEnd } from "../backends/ports/host_end.ts";
import type { PrepareContext, Prepared, Width } from "../device.ts";
import type { IoLoop } from "../io_loop.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType } from "./virtio_device.ts";
import { ConsoleControl, type ControlledPort } from "./console/control.ts";
import { HostPort } from "./console/host_port.ts";
import {
  CONSOLE_CONFIG_BYTES,
  type ConsoleConfig,
  ConsoleConfigOffset,
  ConsoleFeature,
  ConsoleQueue,
  ConsoleSchema,
  ConsoleState,
  Pending,
  portOfQueue,
  PortState,
  receiveQueue,
} from "./console/state.ts";

const QUEUE_SIZE = 128;
const CONTROL_QUEUE_SIZE = 32;
/** Bytes that go to the machine's ring between two looks at it; it takes 8 KiB after each. */
const PIECE = 4096;
/** Bytes of the console that are worked before other devices have their turn, and a buffer's cost. */
const TURN_BYTES = 0x2_0000;
const TURN_BUFFER = 64;
const SIZE = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/;
const MOST_SIZE = 0xffff;

class VirtioConsole implements VirtioDevice {
  readonly features = Object.values(ConsoleFeature);
  readonly configSize = CONSOLE_CONFIG_BYTES;
  readonly #config: ConsoleConfig;
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof ConsoleState>;
  readonly #ports: readonly ControlledPort[];
  readonly #control: ConsoleControl;
  readonly #piece = new Uint8Array(PIECE);
  readonly #space = new DataView(new ArrayBuffer(CONSOLE_CONFIG_BYTES));
  /** By number; there is none for the console itself. On the I/O thread only. */
  #hostPorts: (HostPort | undefined)[] = [];
  #loop: IoLoop | undefined;
  /** Whether `wake` is put off already. */
  #again = false;

  constructor(config: ConsoleConfig, context: VirtioContext) {
    this.#config = config;
    this.#context = context;
    this.#state = new ConsoleState(context.state);
    const encoder = new TextEncoder();
    this.#ports = ["", ...config.ports.map(({ name }) => name)].map((name, id) => ({
      name: encoder.encode(name),
      state: new PortState(context.state, ConsoleState.offsets.ports + id * PortState.size),
      guestOpened: () => this.#guestOpened(id),
    }));
    this.#control = new ConsoleControl(context, this.#state, this.#ports);
  }

  reset(): void {
    const state = this.#state;
    if (state.resized === 0) {
      state.cols = this.#config.cols ?? 0;
      state.rows = this.#config.rows ?? 0;
    }
    for (const { state: port } of this.#ports) {
      port.pending = 0;
      port.guest_ready = 0;
      port.guest_open = 0;
      port.transmit_offset = 0;
    }
    this.#ports[0]!.state.host_open = 1;
  }

  readConfig(offset: number, width: Width): number {
    const space = this.#space;
    space.setUint16(ConsoleConfigOffset.COLS, this.#state.cols, true);
    space.setUint16(ConsoleConfigOffset.ROWS, this.#state.rows, true);
    space.setUint32(ConsoleConfigOffset.MAX_NR_PORTS, this.#ports.length, true);
    switch (width) {
      case 1:
        return space.getUint8(offset);
      case 2:
        return space.getUint16(offset, true);
      case 4:
        return space.getUint32(offset, true);
    }
  }

  /** An emergency write is one character, at any time, without a queue (§5.3.5). */
  writeConfig(offset: number, _width: Width, value: number): void {
    if (offset !== ConsoleConfigOffset.EMERG_WR) return;
    this.#context.output.write(value & 0xff);
    this.#ports[0]!.state.transmitted++;
  }

  attend(loop: IoLoop): void {
    this.#loop = loop;
    const { queues } = this.#context;
    this.#hostPorts = this.#ports.map(({ state }, id) => {
      if (id === 0) return undefined;
      const first = receiveQueue(id);
      return new HostPort(
        state,
        [queues[first]!, queues[first + 1]!],
        this.#config.ends?.[id - 1] ?? null,
        {
          context: this.#context,
          loop,
          hostOpened: () => this.#control.announce(id, Pending.OPEN),
        },
      );
    });
  }

  started(): void {
    this.#offerInput();
  }

  notified(queue: number): void {
    const port = portOfQueue(queue);
    switch (queue) {
      case receiveQueue(0):
        return this.#offerInput();
      case receiveQueue(0) + 1:
        return this.#transmit();
      case ConsoleQueue.CONTROL_RECEIVE:
        if (this.#control.used) this.#control.send();
        return;
      case ConsoleQueue.CONTROL_TRANSMIT:
        if (this.#control.used && this.#control.receive()) this.#later();
        return;
    }
    if (!this.#control.used) return; // there is the console only (§5.3.2)
    if (queue === receiveQueue(port)) this.#hostPorts[port]?.receive();
    else this.#hostPorts[port]?.transmit();
  }

  wake(): void {
    this.#transmit();
    if (!this.#control.used) return;
    if (this.#control.receive()) this.#later();
    for (const port of this.#hostPorts) port?.pump();
  }

  unsent(): boolean {
    return this.#hostPorts.some((port) => port?.unsent ?? false);
  }

  close(): void {
    for (const port of this.#hostPorts) port?.close();
    this.#hostPorts = [];
    this.#loop = undefined;
  }

  /**
   * Takes as much as the guest has buffers for, once it has opened its console. After a call that
   * took less, the context's `rearm` is called when it has more.
   */
  receive(bytes: Uint8Array): number {
    const { state } = this.#ports[0]!;
    let taken = 0;
    if (this.#isOpen()) {
      const queue = this.#context.queues[receiveQueue(0)]!;
      // A guest may go on lending buffers without a byte of room: then it is another call's turn.
      let left = queue.size;
      while (taken < bytes.length && left-- > 0) {
        const chain = queue.pop();
        if (chain === undefined) break;
        const written = chain.write(0, bytes.subarray(taken));
        queue.push(chain, written);
        taken += written;
      }
      queue.signal();
      state.received += taken;
      if (left < 0) this.#context.rearm();
    }
    if (taken < bytes.length) this.#state.refused = 1;
    return taken;
  }

  /** Linux opens the port as soon as it has the driver: who listens there has said something first. */
  listening(): boolean {
    return this.#isOpen() && this.#ports[0]!.state.transmitted > 0;
  }

  /** The port is open there, or the driver knows of no ports. */
  #isOpen(): boolean {
    const { state } = this.#ports[0]!;
    return this.#context.running && (!this.#control.used || state.guest_open !== 0);
  }

  /** `size` with COLSxROWS: the window has changed. */
  action(name: string, value = ""): boolean {
    if (name !== "size") return false;
    const [, cols, rows] = SIZE.exec(value)?.map(Number) ?? [];
    if (cols === undefined || rows === undefined) return false;
    if (cols > MOST_SIZE || rows > MOST_SIZE) return false;
    this.#state.cols = cols;
    this.#state.rows = rows;
    this.#state.resized = 1;
    this.#context.configChanged();
    this.#control.announce(0, Pending.RESIZE);
    return true;
  }

  stats(): Readonly<Record<string, number>> {
    const counters: Record<string, number> = {};
    for (const [id, { state }] of this.#ports.entries()) {
      const prefix = id === 0 ? "" : `${this.#config.ports[id - 1]!.name}.`;
      counters[`${prefix}received`] = state.received;
      counters[`${prefix}transmitted`] = state.transmitted;
      if (id > 0) counters[`${prefix}discarded`] = state.discarded;
    }
    return counters;
  }

  /** The console's output, as far as the machine's ring takes it. */
  #transmit(): void {
    const { output } = this.#context;
    const { state } = this.#ports[0]!;
    const queue = this.#context.queues[receiveQueue(0) + 1]!;
    let left = TURN_BYTES;
    while (left > 0) {
      const chain = queue.pop();
      if (chain === undefined) break;
      while (state.transmit_offset < chain.readable && left > 0 && output.ready) {
        const count = chain.read(state.transmit_offset, this.#piece);
        output.writeAll(this.#piece.subarray(0, count));
        state.transmit_offset += count;
        state.transmitted += count;
        left -= count;
      }
      if (state.transmit_offset < chain.readable) {
        queue.unpop(chain);
        break; // `wake` comes when the ring has room
      }
      state.transmit_offset = 0;
      queue.push(chain, 0);
      left -= TURN_BUFFER;
    }
    queue.signal();
    if (left <= 0) this.#later();
  }

  #guestOpened(id: number): void {
    if (id === 0) this.#offerInput();
    else this.#hostPorts[id]?.receive();
  }

  /** Has input that was refused offered again. */
  #offerInput(): void {
    if (this.#state.refused === 0) return;
    this.#state.refused = 0;
    this.#context.rearm();
  }

  #later(): void {
    if (this.#loop === undefined) return this.#context.wake();
    if (this.#again) return;
    this.#again = true;
    this.#loop.later(() => {
      this.#again = false;
      this.wake();
    });
  }
}

/** Opens the ends of the ports. */
function prepare(
  config: ConsoleConfig,
  _context: PrepareContext,
): Promise<Prepared<ConsoleConfig>> {
  using opened = new DisposableStack();
  const ends = config.ports.map(({ mode, path, fd }) => {
    if (mode === "none") return null;
    const end: OpenHostEnd = opened.use(openHostEnd({ mode, path, fd }));
    return end.plan;
  });
  const stack = opened.move();
  return Promise.resolve({
    config: { ...config, ends },
    [Symbol.asyncDispose]() {
      stack.dispose();
      return Promise.resolve();
    },
  });
}

/** The console. */
export const virtioConsole: VirtioDeviceType<ConsoleConfig> = {
  type: "console",
  virtio: 3,
  pciClass: 0x07_8000, // simple communication controller, other
  state: ConsoleState,
  schema: ConsoleSchema,
  queues: ({ ports }) => [
    QUEUE_SIZE,
    QUEUE_SIZE,
    CONTROL_QUEUE_SIZE,
    CONTROL_QUEUE_SIZE,
    ...ports.flatMap(() => [QUEUE_SIZE, QUEUE_SIZE]),
  ],
  prepare,
  open: (config, context) => new VirtioConsole(config, context),
};
