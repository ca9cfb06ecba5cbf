/**
 * A request of the kernel's as the tree's operations see it. The kernel is trusted: its messages are as
 * its header has them.
 *
 * @module
 */
import { fuse_in_header } from "../../vmm/fuse/messages.ts";
import type { Asker } from "./node.ts";

const ARGUMENTS = fuse_in_header.size;
const decoder = new TextDecoder();

/** A request. */
export class FuseRequest implements Asker {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its arguments start at {@linkcode FuseRequest.arguments}. */
  readonly view: DataView<ArrayBuffer>;
  readonly opcode: number;
  readonly unique: bigint;
  readonly nodeid: number;
  readonly pid: number;
  #abort: AbortController | undefined;
  #interrupted = false;

  /** @param bytes Its bytes, not changed from now on */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const header = new fuse_in_header(this.view);
    this.opcode = header.opcode;
    this.unique = header.unique;
    this.nodeid = header.nodeid;
    this.pid = header.pid;
  }

  /** Opens the arguments' struct. */
  arguments<T>(type: new (view: DataView, offset: number) => T): T {
    return new type(this.view, ARGUMENTS);
  }

  /** The name behind a struct of so many bytes. */
  name(after = 0): string {
    const start = ARGUMENTS + after;
    const end = this.bytes.indexOf(0, start);
    return decoder.decode(this.bytes.subarray(start, end < 0 ? undefined : end));
  }

  /** Bytes behind a struct of so many bytes. */
  data(after: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(ARGUMENTS + after);
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#interrupted) this.#abort.abort();
    return this.#abort.signal;
  }

  /** A signal has interrupted who asks. */
  interrupt(): void {
    this.#interrupted = true;
    this.#abort?.abort();
  }
}
