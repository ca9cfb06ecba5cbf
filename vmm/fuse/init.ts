/**
 * What the two sides of a FUSE connection agree on (FUSE_INIT).
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { fuse_init_in, fuse_init_out } from "./messages.ts";
import {
  InitFlag,
  KERNEL_MINOR_VERSION,
  KERNEL_VERSION,
  OLDEST_MINOR_VERSION,
} from "./protocol.ts";
import { ANSWER, ARGUMENTS, type FuseRequest, type Operation } from "./request.ts";

/** What the server would like. */
export interface InitWishes {
  /** {@linkcode InitFlag}s; those that the client has too are agreed on. */
  readonly flags: number;
  /** Bytes of a WRITE's data at most, a multiple of the page size; of a READ's too. */
  readonly maxWrite: number;
  /** Requests that nobody waits for, readahead, under way at a time. */
  readonly maxBackground: number;
  /** Called with the minor version and the flags that were agreed on. */
  agreed(minor: number, flags: number): void;
}

const PAGE_SIZE = 4096;
/** `fuse_init_in` without what 7.36 has added. */
const OLD_INIT_IN = 16;

/**
 * The operation FUSE_INIT.
 *
 * @param request The server's request
 * @param wishes What the server would like
 */
export function initOperation(request: FuseRequest, wishes: InitWishes): Operation {
  const args = new fuse_init_in(request.view, ARGUMENTS);
  const out = new fuse_init_out(request.reply, ANSWER);
  return {
    args: OLD_INIT_IN,
    answer: fuse_init_out.size,
    run() {
      const failure = agree(args, out, wishes);
      return failure < 0 ? failure : fuse_init_out.size;
    },
  };
}

/**
 * Agrees with a client.
 *
 * @param args What it can
 * @param out The answer, zeros
 * @param wishes What the server would like
 * @returns 0, or a negated errno
 */
export function agree(
  args: InstanceType<typeof fuse_init_in>,
  out: InstanceType<typeof fuse_init_out>,
  wishes: InitWishes,
): number {
  const { major, minor } = args;
  if (major < KERNEL_VERSION || (major === KERNEL_VERSION && minor < OLDEST_MINOR_VERSION)) {
    return -Errno.EPROTO;
  }
  out.major = KERNEL_VERSION;
  out.minor = KERNEL_MINOR_VERSION;
  // A newer client reads only the version, and comes again with ours.
  if (major > KERNEL_VERSION) return 0;
  const flags = args.flags & (wishes.flags | InitFlag.MAX_PAGES | InitFlag.BIG_WRITES);
  out.max_readahead = args.max_readahead;
  out.flags = flags >>> 0;
  out.max_background = wishes.maxBackground;
  out.congestion_threshold = Math.floor(wishes.maxBackground * 3 / 4);
  out.max_write = wishes.maxWrite;
  out.max_pages = wishes.maxWrite / PAGE_SIZE;
  out.time_gran = 1;
  wishes.agreed(Math.min(minor, KERNEL_MINOR_VERSION), flags);
  return 0;
}
