/**
 * One FUSE request at a time, read once and checked: the header and arguments are copied out of the
 * message before anything looks at them, so that whoever shares the message's memory cannot change
 * them under way. Data stays where it is.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { fuse_in_header, fuse_out_header } from "./messages.ts";

/** A request and the room for its reply, wherever they lie. */
export interface FuseMessage {
  /** Bytes of the request. */
  readonly readable: number;
  /** Bytes of room for the reply. */
  readonly writable: number;
  /** Copies from the request; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number;
  /** Copies into the reply; gives how many bytes fitted. */
  write(offset: number, source: Uint8Array): number;
  /** Writes `struct iovec`s for a range of the request from entry 0 on; gives how many, at most 1024. */
  readableIovecs(offset: number, length: number, target: Uint32Array): number;
  /** The same for a range of the reply. */
  writableIovecs(offset: number, length: number, target: Uint32Array): number;
}

/** What the dispatcher must know of an operation before it is called. */
export interface Operation {
  /** The least that its arguments' struct has in the versions that are spoken; 0 for none. */
  readonly args: number;
  /** NUL-terminated names behind the struct. Default 0. */
  readonly names?: 0 | 1 | 2;
  /** Whether the second name is any text, a symbolic link's, of up to 4095 bytes. */
  readonly text?: boolean;
  /** The least room that its answer needs behind the header. Default 0. */
  readonly answer?: number;
  /** Whether it writes its answer into the message itself, behind the header's place. */
  readonly direct?: boolean;
  /** False if nobody waits for a reply to it. */
  readonly replies?: false;
  /**
   * Does it.
   *
   * @param request The request, its arguments checked for length and its names for what they may be
   * @returns Bytes of the answer, at {@linkcode ANSWER} of `request.reply` or in the message; or a
   *   negated errno
   */
  run(request: FuseRequest): number;
}

/** Where in a request its arguments start. */
export const ARGUMENTS = fuse_in_header.size;
/** Where in a reply the operation's answer starts. */
export const ANSWER = fuse_out_header.size;
/** The most bytes of an answer that is put together in {@linkcode FuseRequest.reply}. */
export const MOST_ANSWER = 65536;

/** NAME_MAX and PATH_MAX, the latter with its NUL. */
const NAME_MAX = 255;
const PATH_MAX = 4096;
/** Arguments and names of the longest request: two names, or a name and a symbolic link's text. */
const MOST_REQUEST = 8192;
/** What holds all but long names is read at once. */
const FIRST_READ = 256;
const NONE = new Uint8Array(1);
const SLASH = 0x2f;
const DOT = 0x2e;

/** The request that is being worked on; one object serves them all. */
export class FuseRequest {
  /** The copy of header, arguments and names; zeros behind what was sent. */
  readonly view = new DataView(new ArrayBuffer(MOST_REQUEST));
  /** The reply, whose answer starts at {@linkcode ANSWER}; zero there as far as the operation needs. */
  readonly reply = new DataView(new ArrayBuffer(ANSWER + MOST_ANSWER));
  /** Its header. */
  readonly header = new fuse_in_header(this.view);
  /** The message itself, for data. */
  message!: FuseMessage;
  /** Which operation. */
  opcode = 0;
  /** Which node; 0 where there is none. */
  nodeid = 0;
  /** Bytes of the whole request, as its header says and the message has. */
  length = 0;
  /** Room for the answer. */
  room = 0;
  /** Its first name, a C string: 1 to 255 bytes, no slash, not `.` or `..`. */
  name: Uint8Array<ArrayBuffer> = NONE;
  /** Its second name, the same; or any text. */
  name2: Uint8Array<ArrayBuffer> = NONE;
  readonly #bytes = new Uint8Array(this.view.buffer);
  readonly #replyBytes = new Uint8Array(this.reply.buffer);
  readonly #out = new fuse_out_header(this.reply);
  #copied = 0;

  /**
   * Takes a message's header.
   *
   * @param message The message
   * @returns False if it is shorter than a header, so that there is nothing to answer
   */
  open(message: FuseMessage): boolean {
    if (message.readable < ARGUMENTS) return false;
    const first = Math.min(message.readable, FIRST_READ);
    this.#copied = message.read(0, this.#bytes.subarray(0, FIRST_READ));
    this.#bytes.fill(0, first, FIRST_READ);
    this.message = message;
    this.opcode = this.header.opcode;
    this.nodeid = this.header.nodeid;
    this.length = this.header.len;
    this.room = Math.max(0, message.writable - ANSWER);
    this.name = NONE;
    this.name2 = NONE;
    return true;
  }

  /**
   * Checks that it has the arguments and the room that an operation needs.
   *
   * @param operation The operation
   * @returns 0, or a negated errno
   */
  check(operation: Operation): number {
    const start = ARGUMENTS + operation.args;
    if (this.length > this.message.readable || this.length < start) return -Errno.EINVAL;
    const answer = operation.answer ?? 0;
    if (this.room < answer) return -Errno.EINVAL;
    if (answer > 0) this.#replyBytes.fill(0, ANSWER, ANSWER + answer);
    return (operation.names ?? 0) === 0 ? 0 : this.#takeNames(operation, start);
  }

  /**
   * Writes the reply.
   *
   * @param result What the operation gave
   * @param direct Whether its answer is in the message already
   * @returns Bytes of the whole reply
   */
  answer(result: number, direct: boolean): number {
    const out = this.#out;
    const answered = Math.max(0, result);
    out.len = ANSWER + answered;
    out.error = Math.min(0, result);
    const { unique } = fuse_in_header.offsets;
    this.reply.setUint32(fuse_out_header.offsets.unique, this.view.getUint32(unique, true), true);
    const high = this.view.getUint32(unique + 4, true);
    this.reply.setUint32(fuse_out_header.offsets.unique + 4, high, true);
    this.message.write(0, this.#replyBytes.subarray(0, direct ? ANSWER : ANSWER + answered));
    return ANSWER + answered;
  }

  #takeNames(operation: Operation, start: number): number {
    if (this.length > MOST_REQUEST) return -Errno.ENAMETOOLONG;
    if (this.length > this.#copied) {
      const rest = this.#bytes.subarray(this.#copied, this.length);
      this.message.read(this.#copied, rest);
    }
    const end = this.#bytes.subarray(0, this.length).indexOf(0, start);
    if (end < 0) return -Errno.EINVAL;
    this.name = this.#bytes.subarray(start, end + 1);
    const wrong = checkName(this.name);
    if (wrong < 0 || operation.names === 1) return wrong;
    const second = this.#bytes.subarray(0, this.length).indexOf(0, end + 1);
    if (second < 0) return -Errno.EINVAL;
    this.name2 = this.#bytes.subarray(end + 1, second + 1);
    if (operation.text !== true) return checkName(this.name2);
    return this.name2.length > PATH_MAX ? -Errno.ENAMETOOLONG : 0;
  }
}

/**
 * Whether a name is one that a folder can have for what is in it.
 *
 * @param name A C string, the NUL at its end
 * @returns 0, or a negated errno
 */
function checkName(name: Uint8Array): number {
  const length = name.length - 1;
  if (length === 0) return -Errno.EINVAL;
  if (length > NAME_MAX) return -Errno.ENAMETOOLONG;
  if (name[0] === DOT && (length === 1 || (length === 2 && name[1] === DOT))) return -Errno.EINVAL;
  for (let i = 0; i < length; i++) if (name[i] === SLASH) return -Errno.EINVAL;
  return 0;
}
