/**
 * A seeded random driver for any virtio device: it makes good requests, then spoils them: descriptors,
 * indirect tables, indices, events, the rings' own bytes, and the requests' contents, before the
 * device looks or while it works.
 *
 *     await hostileRings({
 *       type: disk,
 *       config: { path },
 *       request: (queue, random) => ({ read: [header(random)], write: [512, 1] }),
 *       proof: (vm) => …,                  // a good request is answered, after all this
 *     }, { transport: "pci", rings: 10_000 });
 *
 * After each ring the device is reset. What must hold: nothing is thrown, no byte beside guest memory
 * is written, the device holds no reset for ever, and it still works in the end. fast-check makes the
 * rings, from a seed that it tells when one fails; `FC_SEED=n` runs that again.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Transport } from "../vmm/device.ts";
import { Status } from "../vmm/virtio/status.ts";
import type { VirtioDeviceType } from "../vmm/virtio/virtio_device.ts";
import type { DriverRequest, RequestParts } from "./virtio_driver.ts";
import { VirtioMachine, type VirtioMachineOptions } from "./virtio_machine.ts";

/** Numbers that a driver may draw, the same for the same seed. */
export interface RandomNumbers {
  /** A whole number from 0 to `below` - 1. */
  below(below: number): number;
  /** That many bytes. */
  bytes(length: number): Uint8Array<ArrayBuffer>;
  /** One of them. */
  pick<T>(items: readonly T[]): T;
}

/** A device to be lied to. */
export interface RingSubject {
  readonly type: VirtioDeviceType;
  readonly config?: Record<string, unknown>;
  /** A request as a good driver makes it, with all that it may contain. */
  request(queue: number, random: RandomNumbers): RequestParts;
  /** Shows that the device works. */
  proof(vm: VirtioMachine): void | Promise<void>;
  /** Queues to leave alone. Default none. */
  readonly without?: readonly number[];
  /** What the machine needs beside the transport. */
  readonly options?: Omit<VirtioMachineOptions, "transport">;
}

/** How much. */
export interface RingRun {
  readonly transport: Transport;
  /** How many rings. */
  readonly rings: number;
  /** fast-check's seed. Default `FC_SEED`, or always the same. */
  readonly seed?: number;
}

/** What came of it. */
export interface RingSummary {
  /** Rings that ended in DEVICE_NEEDS_RESET. */
  readonly refused: number;
  /** Requests that were given back. */
  readonly answered: number;
}

const RAM_END = 16 * 2 ** 20;
const HIGH = 2 ** 32;

const address = fc.oneof(
  fc.nat(RAM_END - 1),
  fc.nat(4096).map((back) => RAM_END - back),
  fc.nat(4096).map((back) => HIGH + 2 ** 20 - back),
  fc.constantFrom(0, RAM_END, RAM_END + 4096, HIGH - 1, HIGH, 2 ** 53, 2 ** 63, 2 ** 64 - 4096),
);
const length = fc.oneof(
  fc.nat(64),
  fc.nat(0x2_0000),
  fc.constantFrom(0, 1, 15, 16, 17, 511, 512, 513, 4096, 65535, 65536, 2 ** 24, 2 ** 31),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32 - 16, 16 * 65536),
);
const u16 = fc.oneof(fc.nat(0xffff), fc.nat(8), fc.constantFrom(0x7fff, 0x8000, 0xfffe, 0xffff));

/** A change of one descriptor: of the ring's, or of an indirect table's. */
const descriptorChange = fc.record({
  entry: fc.nat(7),
  change: fc.oneof(
    fc.record({ field: fc.constant("address" as const), value: address }),
    fc.record({ field: fc.constant("length" as const), value: length }),
    fc.record({ field: fc.constant("flags" as const), value: fc.nat(7) }),
    fc.record({ field: fc.constant("next" as const), value: u16 }),
    // Mostly right is worth more than mostly wrong: a device's own code is behind the ring's checks.
    fc.record({ field: fc.constant("shorter" as const), value: fc.nat(64) }),
    fc.record({ field: fc.constant("content" as const), value: fc.nat(2 ** 32 - 1) }),
  ),
});

const oneRing = fc.record({
  queue: fc.nat(63),
  seed: fc.nat(2 ** 31),
  requests: fc.array(
    fc.record({
      indirect: fc.boolean(),
      changes: fc.array(descriptorChange, { maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  /** Of the ring as a whole. */
  lies: fc.array(
    fc.oneof(
      fc.record({ what: fc.constant("availIdx" as const), value: u16 }),
      fc.record({ what: fc.constant("head" as const), value: u16 }),
      fc.record({ what: fc.constant("usedEvent" as const), value: u16 }),
      fc.record({ what: fc.constant("availFlags" as const), value: u16 }),
      fc.record({ what: fc.constant("noise" as const), value: fc.nat(2 ** 31) }),
    ),
    { maxLength: 2 },
  ),
  /** Whether the driver changes descriptors again when the device has begun. */
  race: fc.boolean(),
  kicks: fc.nat(3),
  /** Whether it resets without waiting for answers. */
  hasty: fc.boolean(),
});

type Ring = typeof oneRing extends fc.Arbitrary<infer T> ? T : never;

/**
 * Lies to a device, ring after ring.
 *
 * @param subject The device
 * @param run How much
 * @returns What came of it
 */
export async function hostileRings(subject: RingSubject, run: RingRun): Promise<RingSummary> {
  const options = { ...subject.options, transport: run.transport };
  await using vm = await VirtioMachine.open(subject.type, subject.config, options);
  let refused = 0;
  let answered = 0;
  let rings = 0;
  const seed = run.seed ?? Number(Deno.env.get("FC_SEED") ?? 1_405_006);
  fc.assert(
    fc.property(oneRing, (ring) => {
      const spoiled = new SpoiledRing(subject, vm, ring);
      spoiled.run();
      answered += spoiled.answered;
      if ((vm.status & Status.DEVICE_NEEDS_RESET) !== 0) refused++;
      vm.reset();
      vm.start();
      // The guards are long to look through.
      if (++rings % 256 === 0) assert(vm.guarded.intact, "bytes beside guest memory were written");
    }),
    { numRuns: run.rings, seed },
  );
  assert(vm.guarded.intact, "bytes beside guest memory were written");
  await subject.proof(vm);
  return { refused, answered };
}

/** One ring. */
class SpoiledRing {
  answered = 0;
  readonly #subject: RingSubject;
  readonly #vm: VirtioMachine;
  readonly #ring: Ring;
  readonly #random: RandomNumbers;
  readonly #queue: number;

  constructor(subject: RingSubject, vm: VirtioMachine, ring: Ring) {
    this.#subject = subject;
    this.#vm = vm;
    this.#ring = ring;
    this.#random = randomNumbers(ring.seed);
    const queues = [...vm.queues.keys()].filter((i) => !subject.without?.includes(i));
    this.#queue = queues[ring.queue % queues.length]!;
  }

  run(): void {
    const { requests, lies, kicks, race, hasty } = this.#ring;
    const driver = this.#vm.driver(this.#queue);
    const made: DriverRequest[] = [];
    for (const { indirect, changes } of requests) {
      const parts = this.#subject.request(this.#queue, this.#random);
      const count = (parts.read?.length ?? 0) + (parts.write?.length ?? 0);
      if (driver.free < (indirect ? 1 : count)) break;
      const request = driver.add({ ...parts, indirect });
      for (const change of changes) this.#spoil(request, change);
      made.push(request);
    }
    for (const { what, value } of lies) this.#lie(what, value);
    for (let kick = 0; kick <= kicks; kick++) {
      this.#vm.kick(this.#queue);
      if (race) {
        const change = { entry: kick, change: { field: "address" as const, value: RAM_END - 1 } };
        for (const request of made) this.#spoil(request, change);
      }
      if (!hasty) this.#vm.poll();
    }
    this.answered = Math.min(driver.usedIdx, made.length); // a lie may have written the index
  }

  /** Changes a descriptor where it lies: in the indirect table, if there is one. */
  #spoil(request: DriverRequest, { entry, change }: Ring["requests"][number]["changes"][number]) {
    const { memory } = this.#vm;
    const driver = this.#vm.driver(this.#queue);
    const head = driver.desc + 16 * request.head;
    const pieces = [...request.readable, ...request.writable];
    const inTable = request.table !== undefined && entry !== 7;
    const at = inTable
      ? request.table! + 16 * (entry % pieces.length)
      : head + 16 * (entry % 2) * (request.head + 1 < driver.size ? 1 : 0);
    const view = memory.view(at, 16);
    switch (change.field) {
      case "address":
        return view.setBigUint64(0, BigInt(change.value), true);
      case "length":
        return view.setUint32(8, change.value, true);
      case "flags":
        return view.setUint16(12, change.value, true);
      case "next":
        return view.setUint16(14, change.value, true);
      case "shorter":
        return view.setUint32(8, Math.max(0, view.getUint32(8, true) - change.value), true);
      case "content": {
        const piece = pieces[entry % pieces.length]!;
        if (piece.length < 4) return;
        const offset = this.#random.below(Math.min(piece.length, 64) - 3);
        return memory.writeU32(piece.address + offset, change.value);
      }
    }
  }

  #lie(what: Ring["lies"][number]["what"], value: number): void {
    const driver = this.#vm.driver(this.#queue);
    switch (what) {
      case "availIdx":
        driver.availIdx = value;
        break;
      case "head":
        driver.makeAvailable(value);
        break;
      case "usedEvent":
        driver.usedEvent = value;
        break;
      case "availFlags":
        driver.availFlags = value;
        break;
      case "noise": {
        const random = randomNumbers(value);
        const place = random.pick([driver.desc, driver.avail + 4, driver.used]);
        const most = place === driver.desc ? 64 : 16;
        this.#vm.memory.write(place, random.bytes(Math.min(most, 2 * driver.size)));
      }
    }
  }
}

/** xorshift32: any seed, always the same numbers. */
export function randomNumbers(seed: number): RandomNumbers {
  let state = (seed ^ 0x9e37_79b9) | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const below = (limit: number) => next() % limit;
  return {
    below,
    bytes: (length) => Uint8Array.from({ length }, () => next()),
    pick: (items) => items[below(items.length)]!,
  };
}

/** A proof for devices that answer at once: one good request of a queue comes back. */
export function answersOn(queue: number, parts: RequestParts): (vm: VirtioMachine) => void {
  return (vm) => {
    vm.driver(queue).add(parts);
    vm.kick(queue);
    for (let turns = 0; vm.driver(queue).usedIdx === 0; turns++) {
      assert(turns < 100, "the device no longer answers");
      vm.poll(50);
    }
    assert.equal(vm.driver(queue).collect().length, 1);
  };
}
