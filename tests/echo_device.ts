/**
 * The simplest virtio device: it answers each request with what it read, upper case.
 *
 *     queue 0   worked on the I/O thread
 *     queue 1   worked in the vCPU's thread
 *     config    le32 scratch; u8 mode (see {@linkcode EchoMode}); u8 must-be-zero; le16 revision
 *
 * @module
 */
import { struct, u32 } from "../ffi/struct.ts";
import type { Width } from "../vmm/device.ts";
import {
  type Chain,
  ProtocolError,
  type VirtioContext,
  type VirtioDevice,
  type VirtioDeviceType,
} from "../vmm/virtio/virtio_device.ts";

/** What it does with requests of queue 0. */
export const EchoMode = {
  /** Answers at once. */
  ANSWER: 0,
  /** Keeps them, as the kernel would, until they are cancelled. */
  KEEP: 1,
  /** As KEEP, but it takes two calls of `cancel`. */
  KEEP_LONGER: 2,
} as const;

/** Its layout. */
export const EchoState = struct("echo", {
  scratch: u32,
  mode: u32,
  in_flight: u32,
  cancels: u32,
  requests: u32,
  starts: u32,
  resets: u32,
});

const CONFIG_BYTES = 8;
const REVISION = 7;
const CONFIG = { SCRATCH: 0, MODE: 4, ZERO: 5, REVISION: 6 } as const;

class Echo implements VirtioDevice {
  readonly features = [0, 40];
  readonly configSize = CONFIG_BYTES;
  readonly #s: InstanceType<typeof EchoState>;
  readonly #context: VirtioContext;
  readonly #buffer = new Uint8Array(4096);
  #kept: Chain[] = [];

  constructor(context: VirtioContext) {
    this.#s = new EchoState(context.state);
    this.#context = context;
  }

  readConfig(offset: number, width: Width): number {
    const view = new DataView(new ArrayBuffer(CONFIG_BYTES));
    view.setUint32(CONFIG.SCRATCH, this.#s.scratch, true);
    view.setUint8(CONFIG.MODE, this.#s.mode);
    view.setUint16(CONFIG.REVISION, REVISION, true);
    if (width === 4) return view.getUint32(offset, true);
    return width === 2 ? view.getUint16(offset, true) : view.getUint8(offset);
  }

  writeConfig(offset: number, width: Width, value: number): void {
    if (offset === CONFIG.SCRATCH && width === 4) this.#s.scratch = value;
    if (offset === CONFIG.MODE) this.#s.mode = value & 0xff;
    if (offset === CONFIG.ZERO && value !== 0) throw new ProtocolError("It must be zero");
  }

  reset(): void {
    this.#s.scratch = 0;
    this.#s.mode = EchoMode.ANSWER;
    this.#s.resets++;
  }

  started(): void {
    this.#s.starts++;
  }

  notified(index: number): void {
    const queue = this.#context.queues[index]!;
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      this.#s.requests++;
      if (index === 0 && this.#s.mode !== EchoMode.ANSWER) {
        this.#s.in_flight++;
        this.#kept.push(chain);
      } else {
        queue.push(chain, this.#answer(chain));
      }
    }
    queue.signal();
  }

  inFlight(): number {
    return this.#s.in_flight;
  }

  cancel(): void {
    this.#s.cancels++;
    if (this.#s.mode === EchoMode.KEEP_LONGER && this.#s.cancels % 2 === 1) {
      this.#context.wake();
      return;
    }
    const queue = this.#context.queues[0]!;
    for (const chain of this.#kept.splice(0)) {
      this.#s.in_flight--;
      queue.push(chain, 0);
    }
    queue.signal();
  }

  action(name: string): boolean {
    if (name === "change") this.#context.configChanged();
    if (name === "fail") throw new ProtocolError("It was told to");
    return name === "change";
  }

  stats() {
    return { requests: this.#s.requests };
  }

  #answer(chain: Chain): number {
    let done = 0;
    for (;;) {
      const length = chain.read(done, this.#buffer);
      if (length === 0) return done;
      const upper = this.#buffer.subarray(0, length).map((byte) =>
        byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte
      );
      const written = chain.write(done, upper);
      done += written;
      if (written < length) return done;
    }
  }
}

/** The device. */
export const echo: VirtioDeviceType = {
  type: "echo",
  virtio: 0x2a,
  pciClass: 0xff0000,
  state: EchoState,
  queues: () => [256, 64],
  inline: [1],
  open: (_config, context) => new Echo(context),
};
