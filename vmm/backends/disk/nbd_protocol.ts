/**
 * The NBD protocol as a client speaks it: numbers, and the negotiation that a connection starts with
 * (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md, fixed newstyle).
 *
 *     server  "NBDMAGIC" "IHAVEOPT" u16 flags        client  u32 flags
 *     client  "IHAVEOPT" u32 NBD_OPT_GO  u32 length  u32 name length, name, u16 1, u16 NBD_INFO_BLOCK_SIZE
 *     server  u64 magic, u32 option, u32 type, u32 length, data: NBD_REP_INFO… then NBD_REP_ACK
 *
 * All is big-endian. Then come requests of 28 bytes and, since structured replies are not asked for,
 * simple replies of 16.
 *
 * @module
 */
import { Errno } from "../../../ffi/errno.ts";
import { HostError, VmError } from "../../../ffi/errors.ts";
import { receiveBytes, sendBytes } from "../../../ffi/stream_socket.ts";

/** First word of a request. */
export const NBD_REQUEST_MAGIC = 0x25609513;
/** First word of a simple reply. */
export const NBD_SIMPLE_REPLY_MAGIC = 0x67446698;
/** Bytes of a request without its data. */
export const REQUEST_BYTES = 28;
/** Bytes of a simple reply without its data. */
export const REPLY_BYTES = 16;

/** What is asked for. */
export const NbdCommand = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  WRITE_ZEROES: 6,
} as const;
/** Flag of WRITE_ZEROES: the storage stays allocated. */
export const NBD_CMD_FLAG_NO_HOLE = 2;

const NBD_OPT_GO = 7;
const NBD_REP_ACK = 1;
const NBD_REP_INFO = 3;
const NBD_REP_FLAG_ERROR = 2 ** 31;
const NBD_INFO_EXPORT = 0;
const NBD_INFO_BLOCK_SIZE = 3;
const FLAG_FIXED_NEWSTYLE = 1;
const FLAG_NO_ZEROES = 2;
const OPTION_REPLY_MAGIC = 0x3e889045565a9n;
/** Why a server refuses NBD_OPT_GO, by type less 2^31. */
const REFUSALS = new Map([
  [1, "it does not know NBD_OPT_GO"],
  [2, "its policy forbids it"],
  [5, "it wants TLS, which hvsh does not speak"],
  [6, "it has no export of that name"],
]);

/** Transmission flags. */
const Transmission = { READ_ONLY: 2, FLUSH: 4, TRIM: 32, WRITE_ZEROES: 64 } as const;

/** Bytes of one request's data that every server takes. */
const MOST_DATA = 2 ** 25;
/** Bytes of one option's reply, and how many of them: more than any server sends. */
const MOST_REPLY = 65536;
const MOST_REPLIES = 64;
const POLL_MILLISECONDS = 2;

/** An export, as its server describes it. */
export interface NbdExport {
  /** Bytes. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Whether there is a cache to be flushed. */
  readonly flush: boolean;
  readonly trim: boolean;
  readonly writeZeroes: boolean;
  /** Bytes that offsets and lengths are multiples of. */
  readonly blockSize: number;
  /** Bytes of data that one request may have. */
  readonly most: number;
}

/**
 * Negotiates on a new connection.
 *
 * @param fd A connected, non-blocking socket
 * @param name The export's name, empty for the server's default
 * @param where The server, for messages
 * @param seconds How long it may take
 * @returns The export
 * @throws {VmError} If the server is gone, is late, refuses, or says nonsense
 * @throws {HostError} If the connection breaks
 */
export async function negotiateNbd(
  fd: number,
  name: string,
  where: string,
  seconds: number,
): Promise<NbdExport> {
  const stream = new Stream(fd, where, performance.now() + seconds * 1000);
  const greeting = await stream.read(18);
  const text = new TextDecoder().decode(new Uint8Array(greeting.buffer, 0, 16));
  const flags = greeting.getUint16(16);
  if (text !== "NBDMAGICIHAVEOPT" || (flags & FLAG_FIXED_NEWSTYLE) === 0) {
    throw stream.refusal("what listens there is no NBD server of the fixed newstyle");
  }
  const answer = new DataView(new ArrayBuffer(4));
  answer.setUint32(0, flags & (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES));
  await stream.write(answer);
  await stream.write(goOption(name));

  let found: Pick<NbdExport, "size"> & { flags: number } | undefined;
  let [blockSize, most] = [1, MOST_DATA];
  for (let i = 0; i < MOST_REPLIES; i++) {
    const header = await stream.read(20);
    const type = header.getUint32(12);
    const length = header.getUint32(16);
    if (header.getBigUint64(0) !== OPTION_REPLY_MAGIC || length > MOST_REPLY) {
      throw stream.refusal("the NBD server breaks the protocol");
    }
    const data = await stream.read(length);
    if (type >= NBD_REP_FLAG_ERROR) {
      const why = REFUSALS.get(type - NBD_REP_FLAG_ERROR) ?? `it answers 0x${type.toString(16)}`;
      throw stream.refusal(`the NBD server refuses the export "${name}": ${why}`);
    }
    if (type === NBD_REP_ACK) {
      if (found === undefined) throw stream.refusal("the NBD server does not describe its export");
      return {
        size: found.size,
        readOnly: (found.flags & Transmission.READ_ONLY) !== 0,
        flush: (found.flags & Transmission.FLUSH) !== 0,
        trim: (found.flags & Transmission.TRIM) !== 0,
        writeZeroes: (found.flags & Transmission.WRITE_ZEROES) !== 0,
        blockSize,
        most,
      };
    }
    if (type !== NBD_REP_INFO || length < 2) continue;
    const info = data.getUint16(0);
    if (info === NBD_INFO_EXPORT && length >= 12) {
      const size = Number(data.getBigUint64(2));
      if (!Number.isSafeInteger(size)) throw stream.refusal("the NBD server's disk is too large");
      found = { size, flags: data.getUint16(10) };
    } else if (info === NBD_INFO_BLOCK_SIZE && length >= 14) {
      blockSize = data.getUint32(2);
      most = Math.min(MOST_DATA, data.getUint32(10));
    }
  }
  throw stream.refusal("the NBD server comes to no end");
}

function goOption(name: string): DataView<ArrayBuffer> {
  const bytes = new TextEncoder().encode(name);
  const option = new DataView(new ArrayBuffer(16 + 4 + bytes.length + 4));
  new Uint8Array(option.buffer).set(new TextEncoder().encode("IHAVEOPT"));
  option.setUint32(8, NBD_OPT_GO);
  option.setUint32(12, option.byteLength - 16);
  option.setUint32(16, bytes.length);
  new Uint8Array(option.buffer).set(bytes, 20);
  option.setUint16(20 + bytes.length, 1);
  option.setUint16(22 + bytes.length, NBD_INFO_BLOCK_SIZE);
  return option;
}

/** Whole reads and writes on a non-blocking socket. */
class Stream {
  readonly #fd: number;
  readonly #where: string;
  readonly #deadline: number;

  constructor(fd: number, where: string, deadline: number) {
    this.#fd = fd;
    this.#where = where;
    this.#deadline = deadline;
  }

  async read(length: number): Promise<DataView<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const count = receiveBytes(this.#fd, bytes.subarray(done));
      if (count === 0) throw this.refusal("the NBD server has hung up");
      if (count > 0) done += count;
      else await this.#wait(-count, "recv");
    }
    return new DataView(bytes.buffer);
  }

  async write(data: DataView<ArrayBuffer>): Promise<void> {
    for (let done = 0; done < data.byteLength;) {
      const count = sendBytes(this.#fd, new Uint8Array(data.buffer, done));
      if (count >= 0) done += count;
      else await this.#wait(-count, "send");
    }
  }

  refusal(message: string): VmError {
    return new VmError(`${this.#where}: ${message}`);
  }

  async #wait(code: number, syscall: string): Promise<void> {
    if (code !== Errno.EAGAIN && code !== Errno.EINTR) {
      throw new HostError(syscall, code, { path: this.#where });
    }
    if (performance.now() > this.#deadline) throw this.refusal("the NBD server does not answer");
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}
