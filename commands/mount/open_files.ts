/**
 * The operations of FUSE on files that are open.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { O } from "../../ffi/file_structs.ts";
import {
  fuse_lseek_in,
  fuse_lseek_out,
  fuse_open_in,
  fuse_open_out,
  fuse_poll_in,
  fuse_poll_out,
  fuse_read_in,
  fuse_release_in,
  fuse_write_in,
  fuse_write_out,
} from "../../vmm/fuse/messages.ts";
import { Fopen, POLL_SCHEDULE_NOTIFY } from "../../vmm/fuse/protocol.ts";
import type { FuseRequest } from "./fuse_request.ts";
import { type Answer, FileError, type FileNode, type OpenFile, PollEvent } from "./node.ts";

const SEEK_DATA = 3;
const OPENED = O.O_ACCMODE;

/** What an operation answers: a struct, bytes, or nothing but that it was done. */
export type Reply = { bytes(): Uint8Array<ArrayBufferLike> } | Uint8Array | undefined;

/** All files that are open. */
export class OpenFiles {
  readonly #files = new Map<number, OpenFile>();
  readonly #wake: (kh: bigint) => void;
  #last = 0;

  /** @param wake Has those look again that poll a file */
  constructor(wake: (kh: bigint) => void) {
    this.#wake = wake;
  }

  /** Closes all: nobody can close them any more. */
  close(): void {
    for (const file of this.#files.values()) file.close?.();
    this.#files.clear();
  }

  /**
   * OPEN
   *
   * @param node What is opened
   * @param request The request
   */
  async open(node: FileNode, request: FuseRequest): Promise<Reply> {
    const { flags } = request.arguments(fuse_open_in);
    const access = {
      read: (flags & OPENED) !== O.O_WRONLY,
      write: (flags & OPENED) !== O.O_RDONLY,
      nonBlocking: (flags & O.O_NONBLOCK) !== 0,
    };
    const { mode } = await node.attributes();
    // Modes hold for root too: what can't be written is not there to be written.
    if ((access.read && (mode & 0o444) === 0) || (access.write && (mode & 0o222) === 0)) {
      throw new FileError(Errno.EACCES);
    }
    const file = await node.open(access, request);
    const out = new fuse_open_out();
    out.fh = ++this.#last;
    out.open_flags = Fopen.DIRECT_IO |
      (file.stream === true ? Fopen.NONSEEKABLE | Fopen.STREAM : 0) |
      (file.flushes === true ? 0 : Fopen.NOFLUSH);
    this.#files.set(out.fh, file);
    file.opened?.(out.fh);
    return out;
  }

  /** READ */
  read(request: FuseRequest): Answer<Reply> {
    const file = this.#file(request);
    if (file.read === undefined) throw new FileError(Errno.EBADF);
    const args = request.arguments(fuse_read_in);
    return file.read(bigPosition(request), args.size, request);
  }

  /** WRITE */
  async write(request: FuseRequest): Promise<Reply> {
    const file = this.#file(request);
    if (file.write === undefined) throw new FileError(Errno.EBADF);
    const { size } = request.arguments(fuse_write_in);
    const bytes = request.data(fuse_write_in.size).subarray(0, size);
    await file.write(bytes, bigPosition(request), request);
    const out = new fuse_write_out();
    out.size = size;
    return out;
  }

  /** FLUSH, at each close(2) */
  async flush(request: FuseRequest): Promise<Reply> {
    await this.#file(request).flush?.();
    return undefined;
  }

  /** RELEASE */
  release(request: FuseRequest): Reply {
    const { fh } = request.arguments(fuse_release_in);
    this.#files.get(fh)?.close?.();
    this.#files.delete(fh);
    return undefined;
  }

  /** POLL */
  poll(request: FuseRequest): Reply {
    const { flags, kh } = request.arguments(fuse_poll_in);
    const file = this.#file(request);
    const wanted = (flags & POLL_SCHEDULE_NOTIFY) !== 0;
    const out = new fuse_poll_out();
    out.revents = file.poll === undefined
      ? PollEvent.IN | PollEvent.OUT
      : file.poll(wanted ? () => this.#wake(kh) : undefined);
    return out;
  }

  /** LSEEK for data and holes */
  seek(request: FuseRequest): Reply {
    const { position, whence } = request.arguments(fuse_lseek_in);
    const file = this.#file(request);
    if (file.seek === undefined) throw new FileError(Errno.EINVAL);
    const found = file.seek(position, whence === SEEK_DATA ? "data" : "hole");
    if (found === undefined) throw new FileError(Errno.ENXIO);
    const out = new fuse_lseek_out();
    out.position = found;
    return out;
  }

  /** Every struct of an open file's operation begins with its handle. */
  #file(request: FuseRequest): OpenFile {
    const file = this.#files.get(request.arguments(fuse_release_in).fh);
    if (file === undefined) throw new FileError(Errno.EBADF);
    return file;
  }
}

/** In 64 bits: memory's upper half is far beyond 2^53. READ and WRITE have it at the same place. */
function bigPosition(request: FuseRequest): bigint {
  const args = request.arguments(fuse_read_in);
  return args.view.getBigUint64(args.offset + fuse_read_in.offsets.position, true);
}
