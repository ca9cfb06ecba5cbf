/**
 * A guest's block driver in a test: requests of virtio-blk over a {@linkcode VirtioMachine}.
 *
 * @module
 */
import assert from "node:assert/strict";
import { HEADER_BYTES, SECTOR } from "../vmm/virtio/disk/protocol.ts";
import type { DriverRequest, RequestParts } from "./virtio_driver.ts";
import type { VirtioMachine } from "./virtio_machine.ts";

/** The 16 bytes before a request's data. */
export function blockHeader(type: number, sector = 0): Uint8Array {
  const header = new DataView(new ArrayBuffer(HEADER_BYTES));
  header.setUint32(0, type, true);
  header.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(header.buffer);
}

/** A range of a discard or write zeroes request. */
export function blockRange(sector: number | bigint, sectors: number, flags = 0): Uint8Array {
  const range = new DataView(new ArrayBuffer(16));
  range.setBigUint64(0, BigInt(sector), true);
  range.setUint32(8, sectors, true);
  range.setUint32(12, flags, true);
  return new Uint8Array(range.buffer);
}

/** An answered request. */
export interface BlockAnswer {
  /** The byte behind the data. */
  readonly status: number;
  /** What was read. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** How many bytes the device says it has written. */
  readonly written: number;
}

/** One request at a time, each to its end, or several. */
export class BlockGuest {
  readonly #vm: VirtioMachine;

  /**
   * @param vm The machine around the disk
   */
  constructor(vm: VirtioMachine) {
    this.#vm = vm;
  }

  /** Makes a request, and waits for its answer. */
  async request(parts: RequestParts, queue = 0): Promise<BlockAnswer> {
    return (await this.requests([parts], queue))[0]!;
  }

  /** Makes requests with one notification, and waits for all answers, which it gives in their order. */
  async requests(list: readonly RequestParts[], queue = 0): Promise<BlockAnswer[]> {
    const driver = this.#vm.driver(queue);
    const asked = list.map((parts) => driver.add(parts));
    const answers = new Map<DriverRequest, BlockAnswer>();
    this.#vm.notify(queue);
    await this.#vm.until(() => {
      for (const { request, written } of driver.collect()) {
        const all = request.written();
        answers.set(request, { status: all.at(-1)!, data: all.slice(0, -1), written });
      }
      return answers.size === list.length;
    });
    return asked.map((request) => answers.get(request)!);
  }

  /** Reads sectors; the request must succeed. */
  async read(sector: number, sectors: number): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await this.request(readRequest(sector, sectors));
    assert.deepEqual([answer.status, answer.written], [0, sectors * SECTOR + 1]);
    return answer.data;
  }

  /** Writes sectors; the request must succeed. */
  async write(sector: number, data: Uint8Array): Promise<void> {
    const { status, written } = await this.request(writeRequest(sector, data));
    assert.deepEqual([status, written], [0, 1]);
  }

  /** Makes a request without data, and gives its status. */
  async status(type: number, ...data: Uint8Array[]): Promise<number> {
    return (await this.request({ read: [blockHeader(type), ...data], write: [1] })).status;
  }
}

/** A read. */
export function readRequest(sector: number, sectors: number): RequestParts {
  return { read: [blockHeader(0, sector)], write: [sectors * SECTOR, 1] };
}

/** A write. */
export function writeRequest(sector: number, data: Uint8Array): RequestParts {
  return { read: [blockHeader(1, sector), data], write: [1] };
}
