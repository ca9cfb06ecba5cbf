/**
 * A FUSE client for tests: it makes the messages that a kernel would, and takes the replies apart.
 *
 * @module
 */
import assert from "node:assert/strict";
import { addressOf } from "../ffi/address_of.ts";
import { openFile } from "../ffi/files.ts";
import { O } from "../ffi/file_structs.ts";
import { libc } from "../ffi/libc.ts";
import { Folder, type FolderOptions } from "../vmm/fuse/folder.ts";
import {
  fuse_attr_out,
  fuse_create_in,
  fuse_dirent,
  fuse_direntplus,
  fuse_entry_out,
  fuse_forget_in,
  fuse_getattr_in,
  fuse_in_header,
  fuse_init_in,
  fuse_init_out,
  fuse_mkdir_in,
  fuse_open_in,
  fuse_open_out,
  fuse_out_header,
  fuse_read_in,
  fuse_release_in,
  fuse_write_in,
  fuse_write_out,
} from "../vmm/fuse/messages.ts";
import { Opcode, ROOT_ID } from "../vmm/fuse/protocol.ts";
import { type FuseMessage, FuseRequest } from "../vmm/fuse/request.ts";
import { FuseServer, MALFORMED } from "../vmm/fuse/server.ts";

/** Bytes that have an address, cut into pieces of a size as descriptors would cut them. */
export class BufferMessage implements FuseMessage {
  /** The request. */
  readonly request: Uint8Array<ArrayBuffer>;
  /** The reply. */
  readonly reply: Uint8Array<ArrayBuffer>;
  readonly #piece: number;

  constructor(request: Uint8Array, room: number, piece = 4096) {
    // 64 bytes at least, since V8 moves smaller ones.
    this.request = new Uint8Array(new ArrayBuffer(request.length + 64), 0, request.length);
    this.request.set(request);
    this.reply = new Uint8Array(new ArrayBuffer(room + 64), 0, room);
    this.#piece = piece;
  }

  get readable(): number {
    return this.request.length;
  }

  get writable(): number {
    return this.reply.length;
  }

  read(offset: number, target: Uint8Array): number {
    const bytes = this.request.subarray(offset, offset + target.length);
    target.set(bytes);
    return bytes.length;
  }

  write(offset: number, source: Uint8Array): number {
    const bytes = source.subarray(0, Math.max(0, this.reply.length - offset));
    this.reply.set(bytes, offset);
    return bytes.length;
  }

  readableIovecs(offset: number, length: number, target: Uint32Array): number {
    return this.#iovecs(this.request, offset, length, target);
  }

  writableIovecs(offset: number, length: number, target: Uint32Array): number {
    return this.#iovecs(this.reply, offset, length, target);
  }

  #iovecs(bytes: Uint8Array<ArrayBuffer>, offset: number, length: number, target: Uint32Array) {
    const base = addressOf(bytes);
    const end = Math.min(offset + length, bytes.length);
    let count = 0;
    for (let at = offset; at < end && count < 1024; at += this.#piece) {
      const address = base + at;
      target[count * 4] = address % 2 ** 32;
      target[count * 4 + 1] = Math.floor(address / 2 ** 32);
      target[count * 4 + 2] = Math.min(this.#piece, end - at);
      target[count * 4 + 3] = 0;
      count++;
    }
    return count;
  }
}

/** A reply. */
export interface Reply {
  /** 0, or an error number. */
  readonly errno: number;
  /** The answer behind the header. */
  readonly answer: DataView<ArrayBuffer>;
  /** Its bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A part of a request: a struct, a name that gets its NUL, or bytes. */
export type Part = { bytes(): Uint8Array } | string | Uint8Array;

/** A struct with some of its fields set. */
export function filled<T extends { view: DataView }>(
  type: new () => T,
  fields: Partial<T>,
): T {
  return Object.assign(new type(), fields);
}

/** One entry of a listing. */
export interface Entry {
  readonly name: string;
  /** The file's number. */
  readonly ino: bigint;
  readonly type: number;
  readonly position: bigint;
  /** 0 in a plain listing, and for what was not looked up. */
  readonly nodeid: number;
}

const encoder = new TextEncoder();

/** What a client's messages go to; gives the bytes of the reply, as {@linkcode FuseServer} does. */
export interface MessageHandler {
  handle(message: BufferMessage): number;
}

/** A client of a server, over whatever carries its messages. */
export class FuseClient {
  readonly server: MessageHandler;
  #unique = 0n;

  constructor(server: MessageHandler) {
    this.server = server;
  }

  /** A request's bytes. */
  message(opcode: number, nodeid: number, ...parts: Part[]): Uint8Array<ArrayBuffer> {
    const pieces = parts.map((part) =>
      typeof part === "string"
        ? encoder.encode(part + "\0")
        : part instanceof Uint8Array
        ? part
        : part.bytes()
    );
    const length = pieces.reduce((sum, piece) => sum + piece.length, fuse_in_header.size);
    const bytes = new Uint8Array(length);
    const header = new fuse_in_header(new DataView(bytes.buffer));
    header.len = length;
    header.opcode = opcode;
    header.unique = ++this.#unique * 0x1_0000_0001n;
    header.nodeid = nodeid;
    let at = fuse_in_header.size;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  /** Sends a request with room for an answer. */
  send(opcode: number, nodeid: number, parts: Part[] = [], room = 4096): Reply {
    return this.exchange(new BufferMessage(this.message(opcode, nodeid, ...parts), 16 + room));
  }

  /** Sends a request that is there already. */
  exchange(message: BufferMessage): Reply {
    const written = this.server.handle(message);
    assert.notEqual(written, MALFORMED);
    const header = new fuse_out_header(new DataView(message.reply.buffer));
    assert.equal(header.len, written);
    assert.equal(header.unique, new fuse_in_header(new DataView(message.request.buffer)).unique);
    assert.ok(header.error <= 0 && header.error > -4096, `error ${header.error}`);
    const bytes = message.reply.slice(16, written);
    return { errno: Math.abs(header.error), bytes, answer: new DataView(bytes.buffer) };
  }

  /** Sends what nobody answers. */
  tell(opcode: number, nodeid: number, ...parts: Part[]): void {
    assert.equal(
      this.server.handle(new BufferMessage(this.message(opcode, nodeid, ...parts), 0)),
      0,
    );
  }

  init(minor = 38, flags = 0xffff_ffff) {
    const args = filled(fuse_init_in, { major: 7, minor, max_readahead: 131072, flags });
    const { errno, answer } = this.send(Opcode.INIT, 0, [args]);
    assert.equal(errno, 0);
    return new fuse_init_out(answer);
  }

  /** LOOKUP that succeeds. */
  lookup(name: string, parent = ROOT_ID) {
    const { errno, answer } = this.send(Opcode.LOOKUP, parent, [name]);
    assert.equal(errno, 0, name);
    return new fuse_entry_out(answer);
  }

  /** Looks a whole path up; gives its last node. */
  walk(path: string): number {
    return path.split("/").reduce((node, name) => this.lookup(name, node).nodeid, ROOT_ID);
  }

  /** The errno that LOOKUP gives. */
  lookupErrno(name: string, parent = ROOT_ID): number {
    return this.send(Opcode.LOOKUP, parent, [name]).errno;
  }

  forget(nodeid: number, nlookup = 1): void {
    this.tell(Opcode.FORGET, nodeid, filled(fuse_forget_in, { nlookup }));
  }

  getattr(nodeid: number) {
    const { errno, answer } = this.send(Opcode.GETATTR, nodeid, [new fuse_getattr_in()]);
    assert.equal(errno, 0);
    return new fuse_attr_out(answer).attr;
  }

  /** OPEN or OPENDIR that succeeds; gives the handle. */
  open(nodeid: number, flags = 0, opcode: number = Opcode.OPEN): number {
    const { errno, answer } = this.send(opcode, nodeid, [filled(fuse_open_in, { flags })]);
    assert.equal(errno, 0);
    return new fuse_open_out(answer).fh;
  }

  create(name: string, mode = 0o644, flags: number = O.O_RDWR, parent = ROOT_ID) {
    const args = filled(fuse_create_in, { flags, mode });
    const { errno, answer } = this.send(Opcode.CREATE, parent, [args, name]);
    assert.equal(errno, 0);
    return {
      entry: new fuse_entry_out(answer),
      fh: new fuse_open_out(answer, fuse_entry_out.size).fh,
    };
  }

  mkdir(name: string, parent = ROOT_ID) {
    const { errno, answer } = this.send(Opcode.MKDIR, parent, [
      filled(fuse_mkdir_in, { mode: 0o755 }),
      name,
    ]);
    assert.equal(errno, 0);
    return new fuse_entry_out(answer);
  }

  read(fh: number, position: number, size: number): Reply {
    return this.send(Opcode.READ, 0, [filled(fuse_read_in, { fh, position, size })], size);
  }

  /** Writes; `how` are the open file's flags, and those of the write. */
  write(
    fh: number,
    position: number,
    data: Uint8Array | string,
    how: { flags?: number; write_flags?: number } = {},
  ): number {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const args = filled(fuse_write_in, { fh, position, size: bytes.length, ...how });
    const { errno, answer } = this.send(Opcode.WRITE, 0, [args, bytes]);
    return errno === 0 ? new fuse_write_out(answer).size : -errno;
  }

  release(fh: number, opcode: number = Opcode.RELEASE): number {
    return this.send(opcode, 0, [filled(fuse_release_in, { fh })]).errno;
  }

  /** Lists a folder to its end, `size` bytes at a time. */
  list(nodeid: number, plus = false, size = 4096): Entry[] {
    const fh = this.open(nodeid, 0, Opcode.OPENDIR);
    const entries: Entry[] = [];
    for (let position = 0n;;) {
      const args = filled(fuse_read_in, { fh, size });
      args.view.setBigInt64(fuse_read_in.offsets.position, position, true);
      const { errno, answer } = this.send(
        plus ? Opcode.READDIRPLUS : Opcode.READDIR,
        nodeid,
        [args],
        size,
      );
      assert.equal(errno, 0);
      if (answer.byteLength === 0) break;
      entries.push(...parseEntries(answer, plus));
      position = entries.at(-1)!.position;
    }
    this.release(fh, Opcode.RELEASEDIR);
    return entries;
  }
}

function parseEntries(answer: DataView<ArrayBuffer>, plus: boolean): Entry[] {
  const entries: Entry[] = [];
  const before = plus ? fuse_direntplus.offsets.dirent : 0;
  for (let at = 0; at < answer.byteLength;) {
    const dirent = new fuse_dirent(answer, at + before);
    const start = at + before + fuse_dirent.size;
    const name = new Uint8Array(answer.buffer, start, dirent.namelen);
    entries.push({
      name: new TextDecoder().decode(name),
      ino: dirent.ino,
      type: dirent.type,
      position: BigInt.asIntN(64, dirent.off),
      nodeid: plus ? new fuse_entry_out(answer, at).nodeid : 0,
    });
    at += Math.ceil((before + fuse_dirent.size + dirent.namelen) / 8) * 8;
  }
  return entries;
}

/** A folder served to a client. */
export class ServedFolder implements Disposable {
  readonly folder: Folder;
  readonly client: FuseClient;
  readonly #fd: number;
  readonly #links: number;

  constructor(path: string, options: Partial<FolderOptions> = {}) {
    this.#fd = openFile(path, O.O_PATH | O.O_DIRECTORY);
    this.#links = openFile("/proc/self/fd", O.O_PATH | O.O_DIRECTORY);
    this.folder = new Folder({
      fd: this.#fd,
      links: this.#links,
      readonly: false,
      cache: "auto",
      mostDescriptors: 64,
      mostHandles: 64,
      mostInodes: 1000,
      ...options,
    });
    const request = new FuseRequest();
    this.client = new FuseClient(new FuseServer(request, this.folder.operations(request)));
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
    libc.close(this.#fd);
    libc.close(this.#links);
  }
}
