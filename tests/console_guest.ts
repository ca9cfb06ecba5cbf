/**
 * A guest that speaks virtio-console's control messages, for tests: what it sends is what the test
 * says, right or wrong.
 *
 * @module
 */
import type { VirtioMachine } from "./virtio_machine.ts";

/** A control message. */
export interface ControlMessage {
  readonly id: number;
  /** `ControlEvent`'s number. */
  readonly event: number;
  readonly value: number;
  /** What follows the message itself. */
  readonly data?: Uint8Array<ArrayBuffer>;
}

const CONTROL_RECEIVE = 2;
const CONTROL_TRANSMIT = 3;
const CONTROL_BYTES = 8;

/** Number of a port's receive queue; its transmit queue is the next. */
export function portQueue(port: number): number {
  return port === 0 ? 0 : 2 * port + 2;
}

/** The guest's driver. */
export class ConsoleGuest {
  readonly #vm: VirtioMachine;

  /**
   * @param vm The machine, its driver started
   */
  constructor(vm: VirtioMachine) {
    this.#vm = vm;
  }

  /** Lends buffers for control messages. */
  lendControl(count: number, size = 256): void {
    for (let i = 0; i < count; i++) this.#vm.driver(CONTROL_RECEIVE).add({ write: [size] });
    this.#vm.kick(CONTROL_RECEIVE);
    this.#vm.poll();
  }

  /** Sends control messages. */
  control(...messages: readonly ControlMessage[]): void {
    for (const { id, event, value } of messages) {
      const bytes = new Uint8Array(CONTROL_BYTES);
      const view = new DataView(bytes.buffer);
      view.setUint32(0, id, true);
      view.setUint16(4, event, true);
      view.setUint16(6, value, true);
      this.#vm.driver(CONTROL_TRANSMIT).add({ read: [bytes] });
    }
    this.#vm.kick(CONTROL_TRANSMIT);
    this.#vm.poll();
    this.#vm.driver(CONTROL_TRANSMIT).collect();
  }

  /** What the device has sent since last time; the buffers are not lent again. */
  controlled(): ControlMessage[] {
    return this.#vm.driver(CONTROL_RECEIVE).collect().map(({ request, written }) => {
      const bytes = request.written(0).slice(0, written);
      const view = new DataView(bytes.buffer);
      const message = {
        id: view.getUint32(0, true),
        event: view.getUint16(4, true),
        value: view.getUint16(6, true),
      };
      return written === CONTROL_BYTES ? message : { ...message, data: bytes.slice(CONTROL_BYTES) };
    });
  }

  /** Lends a port buffers for its input. */
  lend(port: number, count: number, size = 4096): void {
    const queue = portQueue(port);
    for (let i = 0; i < count; i++) this.#vm.driver(queue).add({ write: [size] });
    this.#vm.kick(queue);
    this.#vm.poll();
  }

  /** What a port has got since last time. */
  received(port: number): string {
    return this.#vm.driver(portQueue(port)).collect()
      .map(({ request, written }) =>
        new TextDecoder().decode(request.written(0).subarray(0, written))
      )
      .join("");
  }

  /** Writes to a port, without waiting until it is taken. */
  send(port: number, ...pieces: readonly (string | Uint8Array<ArrayBuffer>)[]): void {
    const queue = portQueue(port) + 1;
    for (const piece of pieces) {
      const bytes = typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
      this.#vm.driver(queue).add({ read: [bytes] });
    }
    this.#vm.kick(queue);
    this.#vm.poll();
  }

  /** How many of a port's writes were taken since last time. */
  sent(port: number): number {
    return this.#vm.driver(portQueue(port) + 1).collect().length;
  }
}
