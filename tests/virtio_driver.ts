/**
 * The guest's side of a virtqueue, in guest memory: a driver for tests of devices.
 *
 *     const request = driver.add({ read: [header, data], write: [512, 1] });
 *     vm.kick(0);                            // VirtioMachine's; or whatever works the queue
 *     const [used] = driver.collect();       // { request, written }
 *     request.written(1)                     // what the device wrote into the second writable piece
 *
 * `read` are bytes for the device to read, `write` lengths for it to write, each a descriptor of its
 * own. Buffers come from a heap in guest memory and are given back by `collect`; what they held is
 * copied before, so that `request.written` stays good.
 *
 * @module
 */
import type { GuestMemory } from "../vmm/guest_memory.ts";

/** Descriptor flags (virtio 1.2 §2.7.5). */
export const DescFlag = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;

/** A range of guest memory. */
export interface GuestRange {
  /** Guest-physical address. */
  readonly address: number;
  /** Bytes. */
  readonly length: number;
}

/** One descriptor. */
export interface Descriptor extends GuestRange {
  /** {@linkcode DescFlag}s but NEXT, added up. */
  readonly flags?: number;
}

/** What a request is made of. */
export interface RequestParts {
  /** For the device to read. */
  readonly read?: readonly (Uint8Array | GuestRange)[];
  /** For the device to write: lengths, or where. */
  readonly write?: readonly (number | GuestRange)[];
  /** Whether to put the descriptors into an indirect table. Default false. */
  readonly indirect?: boolean;
}

/** A request under way. */
export interface DriverRequest {
  /** Index of its first descriptor. */
  readonly head: number;
  /** Where its indirect table is, if it has one. */
  readonly table?: number;
  /** Where its readable pieces are. */
  readonly readable: readonly GuestRange[];
  /** Where its writable pieces are. */
  readonly writable: readonly GuestRange[];
  /** A copy of a writable piece; of all of them, one behind the other, without an index. */
  written(piece?: number): Uint8Array<ArrayBuffer>;
}

/** A request that the device gave back. */
export interface UsedRequest {
  readonly request: DriverRequest;
  /** Bytes that the device says it has written. */
  readonly written: number;
}

/** Memory for buffers: first fit, given back in any order. */
export class GuestHeap {
  readonly #free: { address: number; length: number }[];

  /**
   * @param address Where it starts
   * @param length Bytes
   */
  constructor(address: number, length: number) {
    this.#free = [{ address, length }];
  }

  /**
   * Takes memory.
   *
   * @param length Bytes
   * @param alignment Default 16
   * @returns Its address
   */
  take(length: number, alignment = 16): number {
    for (const [i, piece] of this.#free.entries()) {
      const address = Math.ceil(piece.address / alignment) * alignment;
      const end = piece.address + piece.length;
      if (address + length > end) continue;
      const rest = [
        { address: piece.address, length: address - piece.address },
        { address: address + length, length: end - address - length },
      ];
      this.#free.splice(i, 1, ...rest.filter((r) => r.length > 0));
      return address;
    }
    throw new RangeError(`The test's guest has no ${length} bytes left`);
  }

  /** Gives memory back. */
  give(address: number, length: number): void {
    if (length === 0) return;
    const at = this.#free.findIndex((piece) => piece.address > address);
    const index = at < 0 ? this.#free.length : at;
    this.#free.splice(index, 0, { address, length });
    for (const i of [index, index - 1]) {
      const [low, high] = [this.#free[i], this.#free[i + 1]];
      if (low === undefined || high === undefined) continue;
      if (low.address + low.length !== high.address) continue;
      low.length += high.length;
      this.#free.splice(i + 1, 1);
    }
  }
}

/** How a queue is laid out. */
export interface DriverOptions {
  /** Descriptors, a power of two. */
  readonly size: number;
  /** Whether VIRTIO_F_EVENT_IDX was negotiated. Default false. */
  readonly eventIdx?: boolean;
}

/** One queue from the driver's side. */
export class VirtioDriver {
  readonly size: number;
  /** Address of the descriptor table. */
  readonly desc: number;
  /** Address of the available ring. */
  readonly avail: number;
  /** Address of the used ring. */
  readonly used: number;
  /** Where buffers come from. */
  readonly heap: GuestHeap;
  readonly #memory: GuestMemory;
  readonly #desc: DataView<ArrayBuffer>;
  readonly #avail: DataView<ArrayBuffer>;
  readonly #used: DataView<ArrayBuffer>;
  readonly #eventIdx: boolean;
  #free: number[] = [];
  #availIdx = 0;
  #kickedIdx = 0;
  #usedIdx = 0;
  #pending = new Map<number, Pending>();

  /**
   * @param memory Guest memory
   * @param heap Where rings and buffers come from
   * @param options The queue
   */
  constructor(memory: GuestMemory, heap: GuestHeap, options: DriverOptions) {
    const { size } = options;
    this.size = size;
    this.heap = heap;
    this.#memory = memory;
    this.#eventIdx = options.eventIdx ?? false;
    this.desc = heap.take(16 * size, 16);
    this.avail = heap.take(6 + 2 * size, 2);
    this.used = heap.take(6 + 8 * size, 4);
    this.#desc = memory.view(this.desc, 16 * size);
    this.#avail = memory.view(this.avail, 6 + 2 * size);
    this.#used = memory.view(this.used, 6 + 8 * size);
    this.reset();
  }

  /** Clears the rings, as before the queue is enabled; requests that were under way are forgotten. */
  reset(): void {
    for (const { owned } of this.#pending.values()) this.#giveBack(owned);
    this.#pending.clear();
    for (const view of [this.#desc, this.#avail, this.#used]) {
      new Uint8Array(view.buffer, view.byteOffset, view.byteLength).fill(0);
    }
    this.#free = Array.from({ length: this.size }, (_, i) => this.size - 1 - i);
    this.#availIdx = this.#kickedIdx = this.#usedIdx = 0;
  }

  /** Gives the memory of rings and buffers back: the queue is no more. */
  discard(): void {
    this.reset();
    this.heap.give(this.desc, 16 * this.size);
    this.heap.give(this.avail, 6 + 2 * this.size);
    this.heap.give(this.used, 6 + 8 * this.size);
  }

  /** Descriptors that are not in use. */
  get free(): number {
    return this.#free.length;
  }

  /** Requests that the device has not given back. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Makes a request available. The device is not told: that is a kick.
   *
   * @param parts What it is made of
   * @returns The request
   * @throws {RangeError} If descriptors or memory run out
   */
  add(parts: RequestParts): DriverRequest {
    const owned: GuestRange[] = [];
    const take = (length: number) => {
      const range = { address: this.heap.take(length), length };
      owned.push(range);
      return range;
    };
    const readable = (parts.read ?? []).map((part) => {
      if (!(part instanceof Uint8Array)) return part;
      const range = take(part.length);
      this.#memory.write(range.address, part);
      return range;
    });
    const writable = (parts.write ?? []).map((part) => {
      if (typeof part !== "number") return part;
      const range = take(part);
      this.#memory.bytes(range.address, part).fill(0);
      return range;
    });
    const list: Descriptor[] = [
      ...readable,
      ...writable.map((range) => ({ ...range, flags: DescFlag.WRITE })),
    ];
    let direct = list;
    let indirect: { table?: number } = {};
    if (parts.indirect) {
      const table = take(16 * list.length);
      const view = this.#memory.view(table.address, table.length);
      list.forEach((d, i) => putDescriptor(view, i, d, i + 1 < list.length ? i + 1 : undefined));
      direct = [{ ...table, flags: DescFlag.INDIRECT }];
      indirect = { table: table.address };
    }
    const head = this.#chain(direct);
    let copies: Uint8Array<ArrayBuffer>[] | undefined;
    const copy = () => writable.map((r) => r.length === 0 ? new Uint8Array(0) : this.read(r));
    const request: DriverRequest = {
      head,
      ...indirect,
      readable,
      writable,
      written(piece) {
        const pieces = copies ?? copy();
        return piece === undefined ? concatenate(pieces) : pieces[piece]!;
      },
    };
    const settle = () => void (copies = copy());
    this.#pending.set(head, { request, owned, descriptors: direct.length, settle });
    this.makeAvailable(head);
    return request;
  }

  /**
   * What the device gave back since last time. Asks for an interrupt at the next one.
   *
   * @returns The requests in the order in which they came
   * @throws {Error} If the device gave back what it did not have
   */
  collect(): UsedRequest[] {
    const done: UsedRequest[] = [];
    for (; this.#usedIdx !== this.usedIdx; this.#usedIdx = (this.#usedIdx + 1) & 0xffff) {
      const at = 4 + 8 * (this.#usedIdx % this.size);
      const head = this.#used.getUint32(at, true);
      const pending = this.#pending.get(head);
      if (pending === undefined) throw new Error(`The device gave back ${head}, which it had not`);
      pending.settle();
      this.#pending.delete(head);
      this.#giveBack(pending.owned);
      this.#release(head, pending.descriptors);
      done.push({ request: pending.request, written: this.#used.getUint32(at + 4, true) });
    }
    if (this.#eventIdx) this.usedEvent = this.#usedIdx;
    return done;
  }

  /** Whether the device wants a kick for what was added since the last one; counts as that kick. */
  takeKick(): boolean {
    const [old, now] = [this.#kickedIdx, this.#availIdx];
    this.#kickedIdx = now;
    if (old === now) return false;
    if (!this.#eventIdx) return (this.#used.getUint16(0, true) & 1) === 0;
    return ((now - this.availEvent - 1) & 0xffff) < ((now - old) & 0xffff);
  }

  /** Copies guest memory. */
  read({ address, length }: GuestRange): Uint8Array<ArrayBuffer> {
    return this.#memory.read(address, length);
  }

  // What hostile drivers do.

  /** Writes a descriptor as it is given. */
  setDescriptor(index: number, descriptor: Descriptor, next?: number): void {
    putDescriptor(this.#desc, index, descriptor, next);
  }

  /** Puts a descriptor's index into the available ring, right or wrong, and moves the ring's on. */
  makeAvailable(head: number): void {
    this.#avail.setUint16(4 + 2 * (this.#availIdx % this.size), head, true);
    this.availIdx = this.#availIdx + 1;
  }

  /** The available ring's index; writing it lets the driver go on from there. */
  get availIdx(): number {
    return this.#avail.getUint16(2, true);
  }
  set availIdx(idx: number) {
    this.#availIdx = idx & 0xffff;
    this.#avail.setUint16(2, this.#availIdx, true);
  }

  /** The available ring's flags: 1 for no interrupts. */
  set availFlags(flags: number) {
    this.#avail.setUint16(0, flags, true);
  }

  /** The used ring's index, as the device wrote it. */
  get usedIdx(): number {
    return this.#used.getUint16(2, true);
  }

  /** The used ring's flags: 1 for no kicks. */
  get usedFlags(): number {
    return this.#used.getUint16(0, true);
  }

  /** Behind which used element the device is to interrupt. */
  set usedEvent(index: number) {
    this.#avail.setUint16(4 + 2 * this.size, index & 0xffff, true);
  }

  /** Behind which available element the driver is to kick. */
  get availEvent(): number {
    return this.#used.getUint16(4 + 8 * this.size, true);
  }

  #chain(list: readonly Descriptor[]): number {
    if (list.length > this.#free.length) throw new RangeError("The queue has no descriptors left");
    if (list.length === 0) throw new RangeError("A request has at least one piece");
    const indices = list.map(() => this.#free.pop()!);
    list.forEach((descriptor, i) => this.setDescriptor(indices[i]!, descriptor, indices[i + 1]));
    return indices[0]!;
  }

  #release(head: number, count: number): void {
    let index = head;
    for (let i = 0; i < count; i++) {
      this.#free.push(index);
      index = this.#desc.getUint16(16 * index + 14, true);
    }
  }

  #giveBack(owned: readonly GuestRange[]): void {
    for (const { address, length } of owned) this.heap.give(address, length);
  }
}

interface Pending {
  readonly request: DriverRequest;
  readonly owned: readonly GuestRange[];
  readonly descriptors: number;
  /** Copies what was written, before the memory is used again. */
  settle(): void;
}

function putDescriptor(view: DataView, index: number, d: Descriptor, next?: number): void {
  const at = 16 * index;
  view.setBigUint64(at, BigInt(d.address), true);
  view.setUint32(at + 8, d.length, true);
  view.setUint16(at + 12, (d.flags ?? 0) | (next === undefined ? 0 : DescFlag.NEXT), true);
  view.setUint16(at + 14, next ?? 0, true);
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
