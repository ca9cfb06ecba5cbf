/**
 * virtio-rng: the host's random numbers for the guest (virtio 1.2 §5.4). One queue; each buffer is
 * filled straight from the host's kernel.
 *
 * Requests are a few bytes each, and the guest's kernel waits for them, so they are served where the
 * notification arrives; what is long or has to wait for its rate goes to the I/O thread.
 *
 * @module
 */
import * as v from "valibot";
import { fillRandom } from "../../ffi/random.ts";
import { addr64, type Struct, struct } from "../../ffi/struct.ts";
import type { IoLoop, IoTimer } from "../io_loop.ts";
import { RateLimit, RateLimitSchema } from "./rate_limit.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType, Virtqueue } from "./virtio_device.ts";

const schema = v.looseObject({
  /** How much a second the guest gets. Left out, as much as it asks for. */
  limit: v.optional(RateLimitSchema),
});

/** A random number generator's entry in the document. */
export type RngConfig = v.InferOutput<typeof schema>;

const REQUESTQ = 0;
const QUEUE_SIZE = 64;
/** What one buffer gets at most: the device may give less than was asked (§5.4.6.2). */
const MOST_PER_REQUEST = 0x1_0000;
/** What a vCPU's thread does at once, and what the I/O thread does before other devices' turn. */
const INLINE_BYTES = 0x1000;
const TURN_BYTES = 0x4_0000;
/** What a buffer counts for that, however short it is. */
const LEAST_COST = 64;

const State = struct("virtio_rng", {
  /** Bytes given since the VM's start. */
  given: addr64,
  /** Buffers filled since the VM's start. */
  requests: addr64,
});

class Rng implements VirtioDevice {
  readonly features = [];
  readonly configSize = 0;
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof State>;
  readonly #queue: Virtqueue;
  readonly #limited: RngConfig["limit"];
  #limit: RateLimit | undefined;
  #loop: IoLoop | undefined;
  #timer: IoTimer | undefined;
  /** Whether more is put off already. */
  #again = false;

  constructor(config: RngConfig, context: VirtioContext) {
    this.#context = context;
    this.#state = new State(context.state);
    this.#queue = context.queues[REQUESTQ]!;
    this.#limited = config.limit;
  }

  readConfig(): number {
    return 0; // there is no configuration space (§5.4.4)
  }

  reset(): void {}

  attend(loop: IoLoop): void {
    this.#loop = loop;
    if (this.#limited === undefined) return;
    this.#limit = new RateLimit(this.#limited, this.#context.monotonic());
    this.#timer = loop.timer(() => this.#serve(TURN_BYTES));
  }

  notified(): void {
    if (this.#loop !== undefined) this.#serve(TURN_BYTES);
    else if (this.#limited !== undefined) this.#context.wake(); // the I/O thread keeps the rate
    else this.#serve(INLINE_BYTES);
  }

  wake(): void {
    this.#serve(TURN_BYTES);
  }

  stats(): Readonly<Record<string, number>> {
    const { given, requests } = this.#state;
    return { bytes: given, requests };
  }

  /** Fills what waits, but not much more than some bytes. */
  #serve(budget: number): void {
    const queue = this.#queue;
    let given = 0;
    for (let chain = this.#next(); chain !== undefined; chain = this.#next()) {
      if (given >= budget) {
        queue.unpop(chain);
        this.#goOn();
        break;
      }
      const wanted = Math.min(chain.writable, MOST_PER_REQUEST);
      for (const view of chain.writableViews(0, wanted)) fillRandom(view);
      queue.push(chain, wanted);
      this.#limit?.charge(wanted);
      this.#state.given += wanted;
      this.#state.requests++;
      given += Math.max(wanted, LEAST_COST);
    }
    queue.signal();
  }

  /** The next buffer, once its rate allows it. */
  #next() {
    if (this.#limit !== undefined && this.#queue.waiting > 0) {
      const now = this.#context.monotonic();
      const at = this.#limit.readyAt(now);
      if (at > now) {
        this.#timer!.at(at);
        return undefined;
      }
    }
    return this.#queue.pop();
  }

  #goOn(): void {
    if (this.#loop === undefined) return this.#context.wake();
    if (this.#again) return;
    this.#again = true;
    this.#loop.later(() => {
      this.#again = false;
      this.#serve(TURN_BYTES);
    });
  }
}

/** The random number generator. */
export const rng: VirtioDeviceType<RngConfig> = {
  type: "rng",
  virtio: 4,
  pciClass: 0xff_0000, // no class of PCI's
  state: State,
  schema,
  queues: () => [QUEUE_SIZE],
  inline: [REQUESTQ],
  open: (config, context) => new Rng(config, context),
};
