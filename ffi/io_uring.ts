/**
 * io_uring (io_uring(7)): system calls by a ring that the kernel reads, completions by one that it
 * writes. What a disk needs of it, with nothing allocated for a request.
 *
 * One thread makes the ring, submits and reaps. The caller keeps an operation's memory where it is
 * until its completion was reaped.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { EventFd } from "./eventfd.ts";
import { Errno } from "./errno.ts";
import { check, errno, libc } from "./libc.ts";
import { Mapping } from "./mapping.ts";

/** The system calls' numbers, the same on x86-64 and arm64. */
const SYS_IO_URING_SETUP = 425n;
const SYS_IO_URING_ENTER = 426n;
const SYS_IO_URING_REGISTER = 427n;

const IORING_SETUP_CLAMP = 1 << 4;
/** Has {@linkcode IORING_SQ_TASKRUN} tell of completions that wait for an enter. */
const IORING_SETUP_TASKRUN_FLAG = 1 << 9;
const IORING_SETUP_SINGLE_ISSUER = 1 << 12;
/** Completions are worked off by {@linkcode IoUring.reap}, and don't interrupt the thread's other calls. */
const IORING_SETUP_DEFER_TASKRUN = 1 << 13;
const IORING_FEAT_SINGLE_MMAP = 1 << 0;
/** Linux 5.6, which has all operations that are used here. */
const IORING_FEAT_RW_CUR_POS = 1 << 3;
const IORING_ENTER_GETEVENTS = 1;
const IORING_REGISTER_EVENTFD = 4;
const IORING_OFF_SQES = 0x1000_0000;
const IORING_SQ_TASKRUN = 1 << 2;

const IORING_OP_READV = 1;
const IORING_OP_WRITEV = 2;
const IORING_OP_FSYNC = 3;
const IORING_OP_ASYNC_CANCEL = 14;
const IORING_OP_FALLOCATE = 17;
const IORING_FSYNC_DATASYNC = 1;

/** Words of `struct io_uring_params`, and of the offsets in it that are used. */
const PARAMS_WORDS = 30;
const Params = { SQ_ENTRIES: 0, CQ_ENTRIES: 1, FLAGS: 2, FEATURES: 5, SQ_OFF: 10, CQ_OFF: 20 };
const SqOff = { TAIL: 1, RING_MASK: 2, FLAGS: 4, ARRAY: 6 };
const CqOff = { HEAD: 0, TAIL: 1, RING_MASK: 2, CQES: 5 };
/** Words of a submission and of a completion queue entry. */
const SQE_WORDS = 16;
const CQE_WORDS = 4;

const TWO_32 = 2 ** 32;
/** How often to try again while the kernel is out of memory. */
const MOST_TRIES = 1000;

/** A ring. */
export class IoUring implements Disposable {
  /** How many operations wait for {@linkcode submit}. */
  queued = 0;
  /** How many operations were submitted and not reaped yet. */
  inFlight = 0;
  readonly #fd: number;
  readonly #signal: EventFd;
  readonly #rings: Mapping;
  readonly #sqes: Mapping;
  /** Both rings, as words. */
  readonly #ring: Uint32Array<ArrayBuffer>;
  readonly #results: Int32Array<ArrayBuffer>;
  readonly #entry: Uint32Array<ArrayBuffer>;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #sqFlags: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;

  /**
   * @param entries How many operations can be queued before they are submitted, 1 to 32768
   * @throws {HostError} If the kernel has no io_uring (ENOSYS), too old a one, or doesn't let this
   *   process have it (EPERM: sysctl kernel.io_uring_disabled, or seccomp)
   */
  constructor(entries: number) {
    const { fd, params } = setUp(entries);
    using made = new DisposableStack();
    made.defer(() => libc.close(fd));
    if ((params[Params.FEATURES]! & IORING_FEAT_RW_CUR_POS) === 0) {
      throw new HostError("io_uring_setup", Errno.ENOSYS, { hint: "it needs Linux 5.6" });
    }
    const words = params[Params.SQ_OFF + SqOff.ARRAY]! / 4 + params[Params.SQ_ENTRIES]!;
    const cqes = params[Params.CQ_OFF + CqOff.CQES]! / 4;
    const size = 4 * Math.max(words, cqes + params[Params.CQ_ENTRIES]! * CQE_WORDS);
    this.#rings = made.use(new Mapping(fd, size));
    this.#sqes = made.use(
      new Mapping(fd, params[Params.SQ_ENTRIES]! * SQE_WORDS * 4, { offset: IORING_OFF_SQES }),
    );
    this.#signal = made.use(new EventFd());
    check(
      libc.io_uring_register(
        SYS_IO_URING_REGISTER,
        fd,
        IORING_REGISTER_EVENTFD,
        Int32Array.of(this.#signal.fd),
        1,
      ),
      "io_uring_register",
    );
    made.move();

    this.#fd = fd;
    this.#ring = new Uint32Array(this.#rings.buffer);
    this.#results = new Int32Array(this.#rings.buffer);
    this.#entry = new Uint32Array(this.#sqes.buffer);
    this.#sqTail = params[Params.SQ_OFF + SqOff.TAIL]! / 4;
    this.#sqMask = this.#ring[params[Params.SQ_OFF + SqOff.RING_MASK]! / 4]!;
    this.#sqFlags = params[Params.SQ_OFF + SqOff.FLAGS]! / 4;
    this.#cqHead = params[Params.CQ_OFF + CqOff.HEAD]! / 4;
    this.#cqTail = params[Params.CQ_OFF + CqOff.TAIL]! / 4;
    this.#cqMask = this.#ring[params[Params.CQ_OFF + CqOff.RING_MASK]! / 4]!;
    this.#cqes = cqes;
    const array = params[Params.SQ_OFF + SqOff.ARRAY]! / 4;
    for (let i = 0; i <= this.#sqMask; i++) this.#ring[array + i] = i;
  }

  /** An eventfd that the kernel signals at completions. Watched edge-triggered, it need not be read. */
  get completionFd(): number {
    return this.#signal.fd;
  }

  /**
   * Queues a preadv.
   *
   * @param tag What its completion is known by, below 2^32 - 1
   * @param fd The file
   * @param address Where its `struct iovec`s lie in this process
   * @param count How many, at most 1024
   * @param offset Where in the file
   */
  readv(tag: number, fd: number, address: number, count: number, offset: number): void {
    this.#queue(IORING_OP_READV, tag, fd, offset, address, count, 0);
  }

  /** Queues a pwritev; parameters as {@linkcode readv} has them. */
  writev(tag: number, fd: number, address: number, count: number, offset: number): void {
    this.#queue(IORING_OP_WRITEV, tag, fd, offset, address, count, 0);
  }

  /** Queues an fdatasync. It waits for no operation that is under way. */
  fdatasync(tag: number, fd: number): void {
    this.#queue(IORING_OP_FSYNC, tag, fd, 0, 0, 0, IORING_FSYNC_DATASYNC);
  }

  /**
   * Queues a fallocate(2).
   *
   * @param tag What its completion is known by
   * @param fd The file
   * @param mode FALLOC_FL_ flags
   * @param offset Where in the file
   * @param length Bytes
   */
  fallocate(tag: number, fd: number, mode: number, offset: number, length: number): void {
    // The length is where other operations have their address, the mode where they have a count.
    this.#queue(IORING_OP_FALLOCATE, tag, fd, offset, length, mode, 0);
  }

  /**
   * Asks for an operation not to be begun. It completes all the same, with -ECANCELED if it hadn't.
   *
   * @param tag The operation's tag
   */
  cancel(tag: number): void {
    this.#queue(IORING_OP_ASYNC_CANCEL, NO_TAG, -1, 0, tag, 0, 0);
  }

  #queue(
    opcode: number,
    tag: number,
    fd: number,
    offset: number,
    address: number,
    length: number,
    flags: number,
  ): void {
    if (this.queued > this.#sqMask) this.submit();
    const tail = this.#ring[this.#sqTail]!;
    const entry = this.#entry;
    const at = (tail & this.#sqMask) * SQE_WORDS;
    entry[at] = opcode;
    entry[at + 1] = fd;
    entry[at + 2] = offset % TWO_32;
    entry[at + 3] = offset / TWO_32;
    entry[at + 4] = address % TWO_32;
    entry[at + 5] = address / TWO_32;
    entry[at + 6] = length;
    entry[at + 7] = flags;
    entry[at + 8] = tag; // the words behind it stay 0, as they were mapped
    Atomics.store(this.#ring, this.#sqTail, tail + 1);
    this.queued++;
  }

  /**
   * Hands what is queued to the kernel.
   *
   * @throws {HostError} If the kernel has no memory for it
   */
  submit(): void {
    if (this.queued > 0) this.#enter(0);
  }

  /**
   * Submits, and takes what has completed.
   *
   * @param completed Called with the tag and the result of the system call, negative for an errno; it
   *   may queue operations
   * @returns How many there were
   */
  reap(completed: (tag: number, result: number) => void): number {
    let count = 0;
    // Since Linux 6.13 one call works 20 completions off, and the eventfd does not tell of the rest.
    do {
      this.#enter(0);
      count += this.#take(completed);
    } while ((Atomics.load(this.#ring, this.#sqFlags) & IORING_SQ_TASKRUN) !== 0);
    return count;
  }

  /**
   * Submits, waits for a completion if an operation is in flight, and takes what has completed.
   *
   * @param completed As {@linkcode reap} has it
   * @returns How many there were
   */
  wait(completed: (tag: number, result: number) => void): number {
    if (this.inFlight + this.queued === 0) return 0;
    this.#enter(1);
    return this.#take(completed);
  }

  #enter(wait: number): void {
    for (let tries = 1;; tries++) {
      const count = libc.io_uring_enter(
        SYS_IO_URING_ENTER,
        this.#fd,
        this.queued,
        wait,
        IORING_ENTER_GETEVENTS,
        null,
        0n,
      );
      if (count >= 0) {
        this.queued -= count;
        this.inFlight += count;
        // The kernel stops a batch behind an entry that it refuses, which then completes as such.
        if (this.queued === 0) return;
      } else {
        const code = errno();
        const passes = code === Errno.EINTR || code === Errno.EAGAIN;
        if (!passes || tries > MOST_TRIES) throw new HostError("io_uring_enter", code);
      }
    }
  }

  #take(completed: (tag: number, result: number) => void): number {
    let count = 0;
    let head = this.#ring[this.#cqHead]!;
    while (head !== Atomics.load(this.#ring, this.#cqTail)) {
      const at = this.#cqes + (head & this.#cqMask) * CQE_WORDS;
      const tag = this.#ring[at]!;
      const result = this.#results[at + 2]!;
      head = (head + 1) >>> 0;
      Atomics.store(this.#ring, this.#cqHead, head);
      this.inFlight--;
      count++;
      if (tag !== NO_TAG) completed(tag, result);
    }
    return count;
  }

  /** Ends it. The kernel cancels what is in flight, but may still use its memory for a moment. */
  [Symbol.dispose](): void {
    this.#signal[Symbol.dispose]();
    this.#sqes[Symbol.dispose]();
    this.#rings[Symbol.dispose]();
    libc.close(this.#fd);
  }
}

/** The tag of cancellations, whose own completions nobody needs. */
const NO_TAG = 0xffff_ffff;

function setUp(entries: number): { fd: number; params: Uint32Array<ArrayBuffer> } {
  const params = new Uint32Array(PARAMS_WORDS);
  const attempt = (flags: number): number => {
    params.fill(0);
    params[Params.FLAGS] = flags | IORING_SETUP_CLAMP;
    return libc.io_uring_setup(SYS_IO_URING_SETUP, entries, params);
  };
  const deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  let fd = attempt(deferred | IORING_SETUP_TASKRUN_FLAG);
  // Before Linux 6.1 these flags are unknown.
  if (fd < 0 && errno() === Errno.EINVAL) fd = attempt(0);
  if (fd < 0) {
    const code = errno();
    throw new HostError("io_uring_setup", code, {
      hint: code === Errno.EPERM
        ? "sysctl kernel.io_uring_disabled, or a container's seccomp filter, forbids it"
        : "disks work without it, more slowly",
    });
  }
  if ((params[Params.FEATURES]! & IORING_FEAT_SINGLE_MMAP) === 0) {
    libc.close(fd);
    throw new HostError("io_uring_setup", Errno.ENOSYS, { hint: "it needs Linux 5.6" });
  }
  return { fd, params };
}
