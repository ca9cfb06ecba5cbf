/**
 * The control queues of virtio-console (virtio 1.2 §5.3.6.2): which ports there are, which are open,
 * how large the window is.
 *
 *     struct virtio_console_control { le32 id; le16 event; le16 value; }
 *
 * What the guest has to be told is a bit for each port and message, so a guest that offers no
 * buffers, or asks a million times, costs nothing: it is told how things are when it can be told.
 *
 * @module
 */
import type { Struct } from "../../../ffi/struct.ts";
import { type Chain, ProtocolError, type VirtioContext } from "../virtio_device.ts";
import {
  ConsoleFeature,
  ConsoleQueue,
  type ConsoleState,
  CONTROL_BYTES,
  ControlEvent,
  Pending,
  type PortState,
} from "./state.ts";

/** One port, as control messages speak of it. */
export interface ControlledPort {
  readonly state: Struct<typeof PortState>;
  /** Its name in UTF-8; empty for the console itself, which has none. */
  readonly name: Uint8Array;
  /** Called when the guest has opened or closed it. */
  guestOpened(): void;
}

const ORDER = Object.values(Pending);

/** The control queues of one device, for one thread. */
export class ConsoleControl {
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof ConsoleState>;
  readonly #ports: readonly ControlledPort[];

  /**
   * @param context What the machine gives the device
   * @param state The device's state
   * @param ports Its ports by number, the console first
   */
  constructor(
    context: VirtioContext,
    state: Struct<typeof ConsoleState>,
    ports: readonly ControlledPort[],
  ) {
    this.#context = context;
    this.#state = state;
    this.#ports = ports;
  }

  /** Whether there are control messages at all. */
  get used(): boolean {
    return this.#context.has(ConsoleFeature.MULTIPORT);
  }

  /**
   * Works through what the guest has sent, but not more than the queue holds at once.
   *
   * @returns Whether there is more
   */
  receive(): boolean {
    const queue = this.#context.queues[ConsoleQueue.CONTROL_TRANSMIT]!;
    for (let left = queue.size; left > 0; left--) {
      const chain = queue.pop();
      if (chain === undefined) break;
      this.#message(chain);
      queue.push(chain, 0);
    }
    queue.signal();
    this.send();
    return queue.waiting > 0;
  }

  /**
   * Has messages sent as soon as the guest takes them.
   *
   * @param port The port's number
   * @param messages {@linkcode Pending} bits; without a driver that uses the port they mean nothing
   */
  announce(port: number, messages: number): void {
    const { state } = this.#ports[port]!;
    if (state.guest_ready === 0 || !this.used) return;
    state.pending |= messages;
    this.send();
  }

  /** Sends what waits, as far as there are buffers. */
  send(): void {
    const queue = this.#context.queues[ConsoleQueue.CONTROL_RECEIVE]!;
    for (const [id, { state }] of this.#ports.entries()) {
      while (state.pending !== 0) {
        const chain = queue.pop();
        if (chain === undefined) return queue.signal();
        const message = ORDER.find((bit) => (state.pending & bit) !== 0)!;
        state.pending &= ~message;
        queue.push(chain, this.#write(chain, id, message));
      }
    }
    queue.signal();
  }

  #message(chain: Chain): void {
    if (chain.readable < CONTROL_BYTES) return; // nothing that could be answered
    const id = chain.readU32(0);
    const event = chain.readU16(4);
    const value = chain.readU16(6);
    if (event === ControlEvent.DEVICE_READY) {
      // Its ports' numbers are ours to give; a driver without room for them says 0.
      for (const { state } of this.#ports) state.pending = value === 0 ? 0 : Pending.ADD;
      return;
    }
    const port = this.#ports[id];
    if (port === undefined) return;
    const { state, name } = port;
    switch (event) {
      case ControlEvent.PORT_READY:
        state.guest_ready = value === 0 ? 0 : 1;
        state.pending &= Pending.ADD;
        if (value === 0) return;
        state.pending |= (id === 0 ? Pending.CONSOLE : 0) |
          (name.length > 0 ? Pending.NAME : 0) |
          (id === 0 && this.#state.cols !== 0 ? Pending.RESIZE : 0) |
          (state.host_open !== 0 ? Pending.OPEN : 0);
        return;
      case ControlEvent.PORT_OPEN:
        state.guest_open = value === 0 ? 0 : 1;
        port.guestOpened();
        return;
    } // the others are the device's to send
  }

  #write(chain: Chain, id: number, message: number): number {
    const { state, name } = this.#ports[id]!;
    switch (message) {
      case Pending.ADD:
        return writeControl(chain, id, ControlEvent.DEVICE_ADD, 1);
      case Pending.CONSOLE:
        return writeControl(chain, id, ControlEvent.CONSOLE_PORT, 1);
      case Pending.NAME: {
        const length = writeControl(chain, id, ControlEvent.PORT_NAME, 1, name.length);
        chain.write(CONTROL_BYTES, name);
        return length;
      }
      case Pending.RESIZE: {
        const length = writeControl(chain, id, ControlEvent.RESIZE, 0, 4);
        // Columns first, as the specification and Linux's stable series of 2025 on have it. Linux
        // before took them for rows (drivers/char/virtio_console.c), and a device can't tell.
        chain.writeU16(CONTROL_BYTES, this.#state.cols);
        chain.writeU16(CONTROL_BYTES + 2, this.#state.rows);
        return length;
      }
      default:
        return writeControl(chain, id, ControlEvent.PORT_OPEN, state.host_open);
    }
  }
}

function writeControl(chain: Chain, id: number, event: number, value: number, more = 0): number {
  const length = CONTROL_BYTES + more;
  if (chain.writable < length) {
    throw new ProtocolError(
      `A control buffer of ${chain.writable} bytes has no room for a message of ${length}`,
    );
  }
  chain.writeU32(0, id);
  chain.writeU16(4, event);
  chain.writeU16(6, value);
  return length;
}
