/**
 * virtio-net: a network card (virtio 1.2 §5.1). Queues 2n receive, 2n + 1 send; behind them is the
 * control queue. What is behind the card is a backend's matter (vmm/backends/net).
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import type { Struct } from "../../ffi/struct.ts";
import { attachTapQueue, setTapOffload, TapOffload } from "../../ffi/tap.ts";
import { parseMac } from "../backends/net/addresses.ts";
import type { BackendOwner, NetBackend } from "../backends/net/net_backend.ts";
import { type NetConfig, NetSchema, type OpenedBackend } from "../backends/net/net_config.ts";
import { openBackend } from "../backends/net/open_backend.ts";
import { prepareNet } from "../backends/net/prepare.ts";
import type { Width } from "../device.ts";
import type { IoLoop } from "../io_loop.ts";
import { control, type ControlledDevice } from "./net/control.ts";
import { NetFeature, offeredFeatures, receiveOffloads } from "./net/features.ts";
import { type PairOwner, QueuePair } from "./net/queue_pair.ts";
import { NetState } from "./net/state.ts";
import { Throttle } from "./net/throttle.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType } from "./virtio_device.ts";

const QUEUE_SIZE = 512;
const CONTROL_QUEUE_SIZE = 64;
/** Where the control queue is for a driver that has not heard of more pairs (§5.1.2). */
const SINGLE_CONTROL = 2;
/** Commands that are carried out before other devices have their turn. */
const TURN_COMMANDS = 64;

const STATUS_LINK_UP = 1;
/** `struct virtio_net_config` up to its `mtu`, the last field that has a feature here. */
const CONFIG_BYTES = 12;
const ConfigOffset = { MAC: 0, STATUS: 6, MAX_PAIRS: 8, MTU: 10 } as const;

class Net implements VirtioDevice, BackendOwner, ControlledDevice, PairOwner {
  readonly features: readonly number[];
  readonly configSize = CONFIG_BYTES;
  readonly state: Struct<typeof NetState>;
  readonly pairs: number;
  readonly #config: NetConfig;
  readonly #opened: OpenedBackend;
  readonly #context: VirtioContext;
  #queuePairs: readonly QueuePair[] = [];
  #backend: NetBackend | undefined;
  #loop: IoLoop | undefined;

  constructor(config: NetConfig, context: VirtioContext) {
    if (config.opened === undefined) throw new TypeError("A network device wants to be prepared");
    this.#config = config;
    this.#opened = config.opened;
    this.#context = context;
    this.state = new NetState(context.state);
    this.pairs = config.queues;
    const offloads = this.#opened.kind === "tap" ? this.#opened.offloads : 0;
    const options = { mtu: config.mtu !== undefined, pairs: this.pairs };
    this.features = offeredFeatures(offloads, options);
  }

  get linkUp(): boolean {
    return this.state.link_down === 0 && this.state.backend_gone === 0;
  }

  get mergeable(): boolean {
    return this.has(NetFeature.MRG_RXBUF);
  }

  get offloads(): boolean {
    return (this.state.offloads & TapOffload.CSUM) !== 0;
  }

  has(feature: number): boolean {
    return this.#context.has(feature);
  }

  readConfig(offset: number, width: Width): number {
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.#configByte(offset + i);
    return value;
  }

  reset(): void {
    const { state } = this;
    state.mac.set(parseMac(this.#config.mac!)!);
    state.pairs = 1;
    state.offloads = 0;
    state.generation++;
    this.apply();
  }

  started(): void {
    this.state.offloads = receiveOffloads((feature) => this.has(feature));
    this.apply();
  }

  /** What is behind it is new. */
  restored(): void {
    const { state } = this;
    if (state.pairs < 1 || state.pairs > this.pairs) {
      throw new TypeError(`state.pairs is ${state.pairs}, but the device has ${this.pairs}`);
    }
    state.offloads &= receiveOffloads((feature) => this.has(feature));
    state.backend_gone = 0;
    state.generation++;
    this.apply();
  }

  apply(): void {
    const opened = this.#opened;
    if (opened.kind !== "tap") return;
    setTapOffload(opened.fds[0]!, this.state.offloads & opened.offloads);
    if (opened.fds.length === 1) return;
    opened.fds.forEach((fd, pair) => attachTapQueue(fd, pair < this.state.pairs));
  }

  attend(loop: IoLoop): void {
    const now = () => this.#context.monotonic();
    const backend = openBackend(this.#opened, now);
    const { limit } = this.#config;
    const place = {
      loop,
      backend,
      receiving: new Throttle(limit, loop, now, () => this.#receiveAll()),
      sending: new Throttle(limit, loop, now, () => this.#transmitAll()),
    };
    this.#loop = loop;
    this.#backend = backend;
    this.#queuePairs = Array.from(
      { length: this.pairs },
      (_, pair) => new QueuePair(pair, this.#context.queues, this, place),
    );
    try {
      backend.attend(loop, this);
    } catch (error) { // what `prepare` found free may have been taken since
      if (!(error instanceof HvshError)) throw error;
      this.gone(error.message);
    }
  }

  notified(queue: number): void {
    const controlQueue = this.has(NetFeature.MQ) ? 2 * this.pairs : SINGLE_CONTROL;
    if (queue === controlQueue) {
      if (this.has(NetFeature.CTRL_VQ)) this.#control(queue);
    } else if (queue < 2 * this.state.pairs) {
      const pair = this.#queuePairs[queue >> 1]!;
      if ((queue & 1) === 0) pair.receive();
      else pair.transmit();
    }
  }

  wake(): void {
    this.#receiveAll();
    this.#transmitAll();
  }

  close(): void {
    this.#backend?.close();
  }

  action(name: string, value?: string): boolean {
    if (name !== "link" || (value !== "up" && value !== "down")) return false;
    this.state.link_down = value === "down" ? 1 : 0;
    this.#context.configChanged();
    this.#context.wake();
    return true;
  }

  readonly gauges: readonly string[] = ["link"];

  stats(): Readonly<Record<string, number>> {
    const { state } = this;
    return {
      rx_packets: state.rx_packets,
      rx_bytes: state.rx_bytes,
      rx_dropped: state.rx_dropped,
      rx_errors: state.rx_errors,
      tx_packets: state.tx_packets,
      tx_bytes: state.tx_bytes,
      tx_dropped: state.tx_dropped,
      tx_errors: state.tx_errors,
      link: this.linkUp ? 1 : 0,
    };
  }

  readable(pair: number): void {
    if (pair < this.state.pairs) this.#queuePairs[pair]!.receive();
  }

  writable(pair: number): void {
    this.#queuePairs[pair]!.unblock();
  }

  dropped(): void {
    this.state.rx_dropped++;
  }

  gone(reason: string): void {
    this.state.backend_gone = 1;
    this.#context.event({ kind: "error", message: `The network is gone: ${reason}` });
    this.#context.configChanged();
    // What waited for room has none to wait for.
    this.#loop!.later(() => this.#queuePairs.forEach((pair) => pair.unblock()));
  }

  #receiveAll(): void {
    for (let pair = 0; pair < this.state.pairs; pair++) this.#queuePairs[pair]!.receive();
  }

  #transmitAll(): void {
    for (const pair of this.#queuePairs) pair.transmit();
  }

  #control(index: number): void {
    const queue = this.#context.queues[index]!;
    const { pairs } = this.state;
    for (let count = 0; queue.waiting > 0; count++) {
      if (count === TURN_COMMANDS) {
        this.#loop!.later(() => this.#control(index));
        break;
      }
      const chain = queue.pop()!;
      queue.push(chain, control(chain, this));
    }
    queue.signal();
    // §5.1.6.5.5: what the driver said of new pairs' queues before was not heard, and with EVENT_IDX it
    // says it once.
    if (this.state.pairs !== pairs) this.wake();
  }

  #configByte(offset: number): number {
    const { state } = this;
    const byteOf = (value: number, at: number) => (value >>> (8 * (offset - at))) & 0xff;
    if (offset < ConfigOffset.STATUS) return state.mac[offset]!;
    if (offset < ConfigOffset.MAX_PAIRS) {
      return byteOf(this.linkUp ? STATUS_LINK_UP : 0, ConfigOffset.STATUS);
    }
    if (offset < ConfigOffset.MTU) return byteOf(this.pairs, ConfigOffset.MAX_PAIRS);
    return byteOf(this.#config.mtu ?? 0, ConfigOffset.MTU);
  }
}

/** The network card. */
export const net: VirtioDeviceType<NetConfig> = {
  type: "net",
  virtio: 1,
  pciClass: 0x02_0000, // Ethernet controller
  state: NetState,
  schema: NetSchema,
  queues: ({ queues }) => [
    ...new Array<number>(2 * queues).fill(QUEUE_SIZE),
    CONTROL_QUEUE_SIZE,
  ],
  prepare: prepareNet,
  open: (config, context) => new Net(config, context),
};
