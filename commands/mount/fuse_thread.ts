/// <reference lib="deno.worker" />
/**
 * The Worker that waits for the kernel: it takes requests as they come, answers at once those that read
 * a VM's memory, and passes all others on. It never waits for a VM.
 *
 * @module
 */
import { receiveMessageOnPort } from "node:worker_threads";
import { Epoll, EpollEvent } from "../../ffi/epoll.ts";
import { FuseRequests } from "../../ffi/fuse_device.ts";
import { fuse_in_header, fuse_read_in } from "../../vmm/fuse/messages.ts";
import { Opcode } from "../../vmm/fuse/protocol.ts";
import { MappedMemory, type MemoryPlace } from "./mapped_memory.ts";

/** What the thread is started with. */
export interface FuseThreadOrder {
  /** The kernel's side. */
  readonly fd: number;
  /** An eventfd that ends the thread when it is signalled. */
  readonly stop: number;
  /** Bytes of a WRITE's data at most. */
  readonly maxWrite: number;
  /** What follows comes by this. */
  readonly port: MessagePort;
}

/** Memory that is open under a handle; undefined closes it. */
export interface MemoryOrder {
  readonly fh: number;
  readonly place: MemoryPlace | undefined;
}

/** What it sends: a request's bytes, or how it ended. */
export type FuseThreadReport = Uint8Array<ArrayBuffer> | { readonly ended: string | undefined };

const FH = fuse_in_header.size + fuse_read_in.offsets.fh;
const POSITION = fuse_in_header.size + fuse_read_in.offsets.position;
const SIZE = fuse_in_header.size + fuse_read_in.offsets.size;

class FuseThread {
  readonly #order: FuseThreadOrder;
  readonly #requests: FuseRequests;
  readonly #memories = new Map<number, MappedMemory>();
  #stopped = false;

  constructor(order: FuseThreadOrder) {
    this.#order = order;
    this.#requests = new FuseRequests(order.fd, order.maxWrite);
  }

  run(): void {
    const { fd, stop } = this.#order;
    using epoll = new Epoll();
    epoll.add(fd, EpollEvent.IN);
    epoll.add(stop, EpollEvent.IN);
    try {
      while (!this.#stopped) {
        const request = this.#requests.take();
        if (request !== undefined) this.#serve(request);
        else epoll.wait(-1, (ready) => this.#stopped ||= ready === stop);
      }
    } finally {
      for (const memory of this.#memories.values()) memory[Symbol.dispose]();
    }
  }

  #serve(request: Uint8Array<ArrayBuffer>): void {
    const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
    if (view.getUint32(fuse_in_header.offsets.opcode, true) === Opcode.READ) {
      this.#takeOrders();
      // Handles are counted from 1 and stay far below 2^32.
      const memory = this.#memories.get(view.getUint32(FH, true));
      if (memory !== undefined) {
        const unique = view.getBigUint64(fuse_in_header.offsets.unique, true);
        const position = view.getBigUint64(POSITION, true);
        return memory.answer(unique, position, view.getUint32(SIZE, true));
      }
    }
    self.postMessage(request.slice());
  }

  /** An order is sent before the handle that it is about is known to anybody. */
  #takeOrders(): void {
    for (;;) {
      const came = receiveMessageOnPort(this.#order.port as never);
      if (came === undefined) return;
      const { fh, place } = came.message as MemoryOrder;
      this.#memories.get(fh)?.[Symbol.dispose]();
      this.#memories.delete(fh);
      if (place !== undefined) this.#memories.set(fh, new MappedMemory(this.#order.fd, place));
    }
  }
}

self.onmessage = ({ data }: MessageEvent<FuseThreadOrder>) => {
  let ended: string | undefined;
  try {
    new FuseThread(data).run();
  } catch (error) {
    ended = (error as Error).message;
  }
  data.port.close();
  self.postMessage({ ended } satisfies FuseThreadReport);
  self.close();
};
