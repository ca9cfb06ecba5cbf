/**
 * A mounted tree while it is served: the thread that waits for the kernel, and the replies.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError } from "../../ffi/errors.ts";
import { EventFd } from "../../ffi/eventfd.ts";
import { closeFile } from "../../ffi/files.ts";
import { writeReply } from "../../ffi/fuse_device.ts";
import {
  fuse_interrupt_in,
  fuse_notify_poll_wakeup_out,
  fuse_out_header,
} from "../../vmm/fuse/messages.ts";
import { NOTIFY_POLL, Opcode } from "../../vmm/fuse/protocol.ts";
import { FuseRequest } from "./fuse_request.ts";
import type { FuseThreadOrder, FuseThreadReport, MemoryOrder } from "./fuse_thread.ts";
import { FileError, type FolderNode } from "./node.ts";
import type { Reply } from "./open_files.ts";
import { MAX_WRITE, TreeServer } from "./tree_server.ts";

const FROM_SOURCES = import.meta.url.endsWith(".ts");
/** `deno task build` gives the thread's program a folder of its own. */
const THREAD = FROM_SOURCES ? "./fuse_thread.ts" : "../fuse_thread/fuse_thread.js";
const HEADER = fuse_out_header.size;

/** A tree that is served. */
export class FuseSession implements Disposable {
  /** Resolves when it is mounted no more. */
  readonly ended: Promise<void>;
  readonly #fd: number;
  readonly #stop = new EventFd();
  readonly #worker: Worker;
  readonly #orders: MessagePort;
  readonly #server: TreeServer;
  readonly #failed: (error: unknown) => void;
  /** Requests that wait for their answers, by `unique`. */
  readonly #waiting = new Map<bigint, FuseRequest>();
  readonly #end = Promise.withResolvers<void>();

  /**
   * Serves a tree.
   *
   * @param fd The kernel's side, mounted; closed at the end
   * @param root The tree
   * @param failed Hears of errors that are no {@linkcode FileError}s
   */
  constructor(fd: number, root: FolderNode, failed: (error: unknown) => void) {
    this.#fd = fd;
    this.#failed = failed;
    this.ended = this.#end.promise;
    this.#server = new TreeServer(root, (kh) => this.#wakePollers(kh));
    const { port1, port2 } = new MessageChannel();
    this.#orders = port1;
    this.#worker = new Worker(new URL(THREAD, import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FuseThreadReport>) => {
      if (data instanceof Uint8Array) this.#take(data);
      else this.#over(data.ended);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#over(event.message);
    };
    const order: FuseThreadOrder = {
      fd,
      stop: this.#stop.fd,
      maxWrite: MAX_WRITE,
      port: port2,
    };
    this.#worker.postMessage(order, [port2]);
  }

  /** Has the thread answer what is read of a handle from a VM's memory, or no more. */
  orderMemory(order: MemoryOrder): void {
    this.#orders.postMessage(order);
  }

  /** Ends it, mounted or not: whoever waits for an answer gets ENOTCONN. */
  [Symbol.dispose](): void {
    this.#stop.signal();
  }

  #take(bytes: Uint8Array<ArrayBuffer>): void {
    const request = new FuseRequest(bytes);
    if (request.opcode === Opcode.INTERRUPT) {
      const { unique } = request.arguments(fuse_interrupt_in);
      return this.#waiting.get(unique)?.interrupt();
    }
    try {
      const answer = this.#server.handle(request);
      if (answer instanceof Promise) this.#answerLater(request, answer);
      else if (answer !== null) this.#reply(request, answer);
    } catch (error) {
      this.#refuse(request, error);
    }
  }

  async #answerLater(request: FuseRequest, answer: Promise<Reply | null>): Promise<void> {
    this.#waiting.set(request.unique, request);
    try {
      this.#reply(request, (await answer) ?? undefined);
    } catch (error) {
      this.#refuse(request, error);
    } finally {
      this.#waiting.delete(request.unique);
    }
  }

  #reply({ unique }: FuseRequest, reply: Reply): void {
    const body = reply instanceof Uint8Array ? reply : reply?.bytes();
    const bytes = new Uint8Array(HEADER + (body?.length ?? 0));
    const header = new fuse_out_header(new DataView(bytes.buffer));
    header.len = bytes.length;
    header.unique = unique;
    if (body !== undefined) bytes.set(body, HEADER);
    this.#send(bytes);
  }

  #refuse({ unique }: FuseRequest, error: unknown): void {
    if (!(error instanceof FileError)) this.#failed(error);
    const code = error instanceof FileError || error instanceof HostError ? error.errno : Errno.EIO;
    const header = new fuse_out_header();
    header.len = HEADER;
    header.unique = unique;
    header.error = -code;
    this.#send(header.bytes());
  }

  #wakePollers(kh: bigint): void {
    const bytes = new Uint8Array(HEADER + fuse_notify_poll_wakeup_out.size);
    const view = new DataView(bytes.buffer);
    const header = new fuse_out_header(view);
    header.len = bytes.length;
    header.error = NOTIFY_POLL;
    new fuse_notify_poll_wakeup_out(view, HEADER).kh = kh;
    this.#send(bytes);
  }

  /** Nobody may wait for it any more, or the tree may be gone: neither is a failure. */
  #send(bytes: Uint8Array<ArrayBuffer>): void {
    writeReply(this.#fd, bytes);
  }

  #over(failure: string | undefined): void {
    this.#worker.terminate();
    for (const request of this.#waiting.values()) request.interrupt();
    this.#server.close();
    this.#orders.close();
    this.#stop[Symbol.dispose]();
    closeFile(this.#fd);
    if (failure !== undefined && !/ENODEV/.test(failure)) this.#end.reject(new Error(failure));
    else this.#end.resolve();
  }
}
