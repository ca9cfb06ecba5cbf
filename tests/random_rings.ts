/**
 * A driver that is seeded and means no good: rings whose descriptors, heads and indices are anything
 * at all, among them many that are nearly right.
 *
 *     await fc.assert(fc.asyncProperty(randomRing(queues), (ring) => playRing(vm, ring)));
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Status } from "../vmm/virtio/status.ts";
import type { VirtioMachine } from "./virtio_machine.ts";

/** Descriptors of each queue; the machine is opened with this `queueSize`. */
export const RANDOM_QUEUE_SIZE = 8;

/** What the driver puts into a queue. */
export interface RandomRing {
  readonly queue: number;
  readonly descriptors: readonly {
    readonly address: number;
    readonly length: number;
    readonly flags: number;
    readonly next: number;
  }[];
  /** What the buffers hold that devices read first. */
  readonly bytes: Uint8Array;
  readonly heads: readonly number[];
  /** Added to the available ring's index. */
  readonly skip: number;
}

/** Where buffers are that are right; `bytes` go here. */
const BUFFERS = 0x8_0000;
const MIB = 2 ** 20;

/**
 * Rings for some queues.
 *
 * @param queues Their numbers
 */
export function randomRing(queues: readonly number[]): fc.Arbitrary<RandomRing> {
  const usually = <T>(right: fc.Arbitrary<T>, wrong: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 9, arbitrary: right }, { weight: 1, arbitrary: wrong });
  const descriptor = fc.record({
    address: usually(
      fc.nat(0x4000).map((offset) => BUFFERS + offset),
      fc.constantFrom(0, 16 * MIB - 8, 16 * MIB, 2 ** 32, 2 ** 32 + MIB - 1, 2 ** 40, 2 ** 52),
    ),
    length: usually(
      fc.oneof(fc.nat(64), fc.constantFrom(4096, 0x1_0000)),
      fc.constantFrom(0, 16, 16 * MIB, 0xffff_fff0, 0xffff_ffff),
    ),
    flags: usually(fc.nat(3), fc.oneof(fc.nat(7), fc.nat(0xffff))),
    next: usually(fc.nat(RANDOM_QUEUE_SIZE - 1), fc.nat(0xffff)),
  });
  return fc.record({
    queue: fc.constantFrom(...queues),
    descriptors: fc.array(descriptor, {
      minLength: RANDOM_QUEUE_SIZE,
      maxLength: RANDOM_QUEUE_SIZE,
    }),
    bytes: fc.uint8Array({ maxLength: 64 }),
    heads: fc.array(usually(fc.nat(RANDOM_QUEUE_SIZE - 1), fc.nat(0xffff)), { maxLength: 8 }),
    skip: usually(fc.constant(0), fc.nat(0xffff)),
  });
}

/**
 * Puts a ring before the device and has it worked. Afterwards the device is alive: it gave back what
 * it took, or needs a reset, which mends it.
 *
 * @param vm The machine, at DRIVER_OK
 * @param ring The ring
 */
export function playRing(vm: VirtioMachine, ring: RandomRing): void {
  const { queue, descriptors, bytes, heads, skip } = ring;
  vm.memory.write(BUFFERS, bytes);
  const driver = vm.driver(queue);
  descriptors.forEach(({ address, length, flags, next }, i) =>
    driver.setDescriptor(i, { address, length, flags: flags & ~1 }, flags & 1 ? next : undefined)
  );
  for (const head of heads) driver.makeAvailable(head);
  if (skip > 0) driver.availIdx += skip;
  vm.kick(queue);
  vm.poll();
  assert.equal(vm.status & Status.FAILED, 0);
  vm.reset();
  vm.start();
}
