/**
 * A virtio socket device (virtio 1.2 §5.10): stream sockets between guest and host without a network.
 * On the host they are unix sockets, as Firecracker has it: a client of the socket at `path` writes
 * `CONNECT PORT` to reach a port of the guest, and a guest that connects to port P of the host (CID 2)
 * reaches whoever listens at `path_P`.
 *
 * @module
 */
import * as v from "valibot";
import { UnixListener } from "../../ffi/unix_listener.ts";
import type { PrepareContext, Prepared, Width } from "../device.ts";
import type { IoLoop } from "../io_loop.ts";
import { HOST_CID } from "./vsock/packet.ts";
import { Muxer } from "./vsock/muxer.ts";
import { type VsockRegisters, VsockState } from "./vsock/state.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType } from "./virtio_device.ts";

const VIRTIO_VSOCK_F_STREAM = 0;
/** The upper 32 bits are reserved, and all ones is VMADDR_CID_ANY (§5.10.4). */
const MOST_CID = 2 ** 32 - 2;
/** Of `sun_path`, with `_PORT` and the NUL behind it. */
const MOST_PATH = 107 - "_4294967295".length;
const CONFIG_BYTES = 8;

const Schema = v.looseObject({
  /** The guest's context ID, from 3, which is the default: no two guests see each other's. */
  cid: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(HOST_CID + 1), v.maxValue(MOST_CID)),
    HOST_CID + 1,
  ),
  /** The unix socket that the device makes, an absolute path. */
  path: v.pipe(
    v.string(),
    v.nonEmpty(),
    v.check((path) => !path.includes("\0"), "has a NUL byte"),
    v.check(
      (path) => new TextEncoder().encode(path).length <= MOST_PATH,
      `has more than ${MOST_PATH} bytes, too many for a socket`,
    ),
  ),
});

/** A socket device's entry in the document; `listener` is what `prepare` opened. */
export type VsockConfig = v.InferOutput<typeof Schema> & { readonly listener?: number };

class Vsock implements VirtioDevice {
  readonly features = [VIRTIO_VSOCK_F_STREAM];
  readonly configSize = CONFIG_BYTES;
  readonly #config: VsockConfig;
  readonly #context: VirtioContext;
  readonly #state: VsockRegisters;
  readonly #space = new DataView(new ArrayBuffer(CONFIG_BYTES));
  #muxer: Muxer | undefined;

  constructor(config: VsockConfig, context: VirtioContext) {
    this.#config = config;
    this.#context = context;
    this.#state = new VsockState(context.state);
    this.#space.setUint32(0, config.cid, true);
  }

  readConfig(offset: number, width: Width): number {
    switch (width) {
      case 1:
        return this.#space.getUint8(offset);
      case 2:
        return this.#space.getUint16(offset, true);
      case 4:
        return this.#space.getUint32(offset, true);
    }
  }

  /** The connections are the I/O thread's; it looks at the number before it does anything else. */
  reset(): void {
    this.#state.generation++;
    this.#state.transport_reset = 0;
    this.#context.wake();
  }

  /** The host's ends are lost (§5.10.6.7). */
  restored(): void {
    this.#state.connections = 0;
    this.#loseConnections();
  }

  /** Who has waited for the guest may be announced now. */
  started(): void {
    this.#context.wake();
  }

  attend(loop: IoLoop): void {
    const { cid, path, listener } = this.#config;
    if (listener === undefined) throw new TypeError("The device was not prepared");
    this.#muxer = new Muxer({ cid, path, listener }, this.#context, this.#state, loop);
  }

  notified(): void {
    this.#muxer?.work();
  }

  wake(): void {
    this.#muxer?.work();
  }

  close(): void {
    this.#muxer?.close();
    this.#muxer = undefined;
  }

  /** `transport-reset`: the guest's connections are gone, and it is told, as after a restore. */
  action(name: string): boolean {
    if (name !== "transport-reset") return false;
    this.#loseConnections();
    this.#context.wake();
    return true;
  }

  #loseConnections(): void {
    this.#state.generation++;
    this.#state.transport_reset = 1;
  }

  readonly gauges: readonly string[] = ["connections"];

  stats(): Readonly<Record<string, number>> {
    const state = this.#state;
    return {
      connections: state.connections,
      by_guest: state.by_guest,
      by_host: state.by_host,
      refused: state.refused,
      misaddressed: state.misaddressed,
      received_packets: state.received_packets,
      received_bytes: state.received_bytes,
      sent_packets: state.sent_packets,
      sent_bytes: state.sent_bytes,
    };
  }
}

async function prepare(
  config: VsockConfig,
  _context: PrepareContext,
): Promise<Prepared<VsockConfig>> {
  const listener = new UnixListener(config.path);
  return await Promise.resolve({
    config: { ...config, listener: listener.fd },
    [Symbol.asyncDispose]() {
      listener[Symbol.dispose]();
      return Promise.resolve();
    },
  });
}

/** The virtio socket device. */
export const vsock: VirtioDeviceType<VsockConfig> = {
  type: "vsock",
  virtio: 19,
  pciClass: 0x028000, // other network controller
  state: VsockState,
  schema: Schema,
  queues: () => [256, 256, 16],
  prepare,
  open: (config, context) => new Vsock(config, context),
};
