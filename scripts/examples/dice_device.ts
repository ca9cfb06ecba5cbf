/**
 * A virtio device: to the guest an entropy source, which throws dice. Linux's own driver takes it,
 * and `/dev/hwrng` reads bytes from 1 to `sides`.
 *
 *     hvsh create | hvsh device scripts/examples/dice_device.ts sides=6 | …
 *
 * @module
 */
import { struct, u32, type VirtioDeviceType } from "../../mod.ts";

/** What it keeps, in memory that all the VM's threads share. */
const State = struct("dice", { throws: u32 });

export default {
  type: "dice",
  virtio: 4, // entropy device (virtio 1.2 §5.4)
  pciClass: 0x00ff00,
  state: State,
  queues: () => [8],
  inline: [0], // it has nothing to wait for, so the vCPU's own thread may do it
  open: ({ sides = 6 }, context) => {
    const state = new State(context.state);
    return {
      features: [],
      configSize: 0,
      readConfig: () => 0,
      reset: () => {
        state.throws = 0;
      },
      notified: () => {
        const [queue] = context.queues;
        for (let chain = queue!.pop(); chain !== undefined; chain = queue!.pop()) {
          const dice = new Uint8Array(chain.writable).map(() => 1 + Math.random() * sides);
          queue!.push(chain, chain.write(0, dice));
          state.throws += dice.length;
        }
        queue!.signal();
      },
      stats: () => ({ throws: state.throws }),
    };
  },
} satisfies VirtioDeviceType<{ sides?: number }>;
