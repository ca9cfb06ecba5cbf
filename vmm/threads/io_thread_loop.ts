/**
 * The loop of an I/O thread: waits for the descriptors and times of the devices that it serves, and
 * runs each device's work under that device's lock.
 *
 * @module
 */
import { monotonicMilliseconds } from "../../ffi/clock.ts";
import { Epoll, EpollEvent } from "../../ffi/epoll.ts";
import { libc } from "../../ffi/libc.ts";
import type { Json } from "../../ffi/struct.ts";
import { type Arena, IO_PAUSE, Request } from "../arena.ts";
import type { DeviceSet, OpenDevice } from "../device_set.ts";
import type { IoLoop, IoTimer } from "../io_loop.ts";

/**
 * What has an I/O thread leave {@linkcode IoThreadLoop.run}: the end, a change, or that it is to stand,
 * which it does when it runs again.
 */
export type IoLeave = "stop" | "change" | "stands";

/** A descriptor that a device waits for. */
interface Watch {
  readonly owner: OpenDevice;
  readonly ready: (events: number) => void;
}

/** A timer of a device. */
interface Timer {
  readonly owner: OpenDevice;
  readonly work: () => void;
  due: number;
}

/** Work that a device puts off. */
interface Later {
  readonly owner: OpenDevice;
  readonly work: () => void;
}

/** epoll's timeout is an `int` of milliseconds. */
const MOST_MILLISECONDS = 2 ** 31 - 1;

/** One I/O thread's descriptors, times and devices. */
export class IoThreadLoop implements Disposable {
  readonly #arena: Arena;
  readonly #set: DeviceSet;
  readonly #number: number;
  readonly #control: number;
  readonly #epoll = new Epoll();
  readonly #watches = new Map<number, Watch>();
  readonly #served: OpenDevice[] = [];
  readonly #counter = new BigUint64Array(1);
  #timers: Timer[] = [];
  #later: Later[] = [];
  #controlled = false;
  /** The pause that it stands for; 0 while it does not. */
  #pause = 0;
  /** Only the control eventfd, for while it stands. */
  #standing: Epoll | undefined;

  /**
   * @param arena The VM's shared state
   * @param set The devices of this thread
   * @param number Which of the I/O threads it is
   * @param control The eventfd that wakes it
   */
  constructor(arena: Arena, set: DeviceSet, number: number, control: number) {
    this.#arena = arena;
    this.#set = set;
    this.#number = number;
    this.#control = control;
    this.#epoll.add(control, EpollEvent.IN);
  }

  /**
   * Stands before it serves anything, if it is asked to.
   *
   * @param stands Told that it does, and for which pause
   */
  standAtFirst(stands: (pause: number) => void): void {
    for (let pause = this.#askedPause; pause !== 0; pause = this.#askedPause) {
      if (this.#pause !== pause) {
        this.#pause = pause;
        stands(pause);
      }
      this.#stand();
    }
    this.#pause = 0;
  }

  /** The number of the pause that it is asked for; 0 if it is not. */
  get #askedPause(): number {
    const request = this.#arena.ioRequest;
    return request % IO_PAUSE === Request.PAUSE ? Math.floor(request / IO_PAUSE) : 0;
  }

  /**
   * Serves a device from now on.
   *
   * @param open The device
   * @param kept What it kept beside the arena, if it goes on from a saved state
   */
  serve(open: OpenDevice, kept?: Json): void {
    this.#served.push(open);
    this.#set.locked(open, (device) => device.attend?.(this.#doorOf(open), kept));
  }

  /**
   * Serves a device no more.
   *
   * @param open The device
   */
  release(open: OpenDevice): void {
    // A descriptor that `close` closes is not there any more to be taken out.
    for (const [fd, { owner }] of this.#watches) {
      if (owner === open) this.#unwatch(fd);
    }
    this.#set.locked(open, (device) => device.close?.());
    this.#timers = this.#timers.filter(({ owner }) => owner !== open);
    this.#later = this.#later.filter(({ owner }) => owner !== open);
    this.#served.splice(this.#served.indexOf(open), 1);
  }

  /**
   * Runs until it is asked for something else.
   *
   * @returns What for
   */
  run(): IoLeave {
    const dispatch = (fd: number, events: number) => this.#dispatch(fd, events);
    let stopping = false;
    for (;;) {
      const request = this.#arena.ioRequest;
      const stop = request === Request.STOP || request === Request.LEAVE;
      const pause = this.#askedPause;
      if (pause !== 0 && pause === this.#pause) {
        this.#stand();
        if (this.#arena.ioChangeAsked(this.#number)) return "change";
        continue;
      }
      this.#pause = 0;
      const still = pause !== 0 && !this.#busy;
      // What the guest asked for before its end is still done: its last words on a console.
      const wait = !still && !this.#controlled && (!stop || stopping);
      const timeout = wait ? this.#timeout() : 0;
      this.#epoll.wait(timeout, dispatch);
      this.#expire();
      this.#catchUp();
      if (stop && (request === Request.LEAVE || !this.#unsent)) return "stop";
      stopping = stop;
      if (this.#controlled) {
        this.#controlled = false;
        this.#wakeDevices();
        if (this.#arena.ioChangeAsked(this.#number)) return "change";
      }
      if (still && !this.#busy) {
        this.#pause = pause;
        return "stands";
      }
    }
  }

  /** The number of the pause that it stands for. */
  get pause(): number {
    return this.#pause;
  }

  /**
   * What the devices keep that the arena does not have.
   *
   * @returns By name
   */
  kept(): Record<string, Json> {
    const kept: Record<string, Json> = {};
    for (const open of this.#served) {
      const json = this.#set.locked(open, (device) => device.kept?.());
      if (json !== undefined) kept[open.name] = json;
    }
    return kept;
  }

  /** Whether the kernel still works for some device: it ends what it has before the thread stands. */
  get #busy(): boolean {
    return this.#served.some((open) =>
      this.#set.locked(
        open,
        (device) => (device.inFlight?.() ?? 0) > 0 || (device.resetting?.() ?? false),
      )
    );
  }

  /** Whether some device has output of the guest's that its reader has not taken yet. */
  get #unsent(): boolean {
    return this.#served.some((open) =>
      this.#set.locked(open, (device) => device.unsent?.() ?? false)
    );
  }

  /** Waits for whoever wakes this thread; descriptors and times of devices wait until it goes on. */
  #stand(): void {
    if (this.#standing === undefined) {
      this.#standing = new Epoll(1);
      this.#standing.add(this.#control, EpollEvent.IN);
    }
    this.#standing.wait(-1, () => this.#takeControl());
  }

  /** Lets every device go. */
  [Symbol.dispose](): void {
    let failure: { readonly error: unknown } | undefined;
    for (const open of [...this.#served]) {
      try {
        this.release(open);
      } catch (error) { // the others must be closed all the same
        failure ??= { error };
      }
    }
    this.#epoll[Symbol.dispose]();
    this.#standing?.[Symbol.dispose]();
    if (failure !== undefined) throw failure.error;
  }

  #dispatch(fd: number, events: number): void {
    if (fd === this.#control) return this.#takeControl();
    // What ran before in this turn may have let the descriptor go.
    const watch = this.#watches.get(fd);
    if (watch !== undefined) this.#set.locked(watch.owner, () => watch.ready(events));
  }

  #takeControl(): void {
    libc.read(this.#control, this.#counter, 8n);
    this.#controlled = true;
  }

  #wakeDevices(): void {
    for (const open of this.#served) {
      if (this.#arena.takeWake(open.lock)) this.#set.locked(open, (device) => device.wake?.());
    }
  }

  /** Work that was put off before this turn; what it puts off itself is for the next. */
  #catchUp(): void {
    if (this.#later.length === 0) return;
    const later = this.#later;
    this.#later = [];
    for (const { owner, work } of later) this.#set.locked(owner, work);
  }

  #timeout(): number {
    if (this.#later.length > 0) return 0;
    let due = Infinity;
    for (const timer of this.#timers) if (timer.due < due) due = timer.due;
    if (due === Infinity) return -1;
    return Math.min(Math.max(0, Math.ceil(due - monotonicMilliseconds())), MOST_MILLISECONDS);
  }

  #expire(): void {
    if (this.#timers.length === 0) return;
    const now = monotonicMilliseconds();
    for (const timer of this.#timers) {
      if (timer.due > now) continue;
      timer.due = Infinity;
      this.#set.locked(timer.owner, timer.work);
    }
  }

  #unwatch(fd: number): void {
    if (this.#watches.delete(fd)) this.#epoll.remove(fd);
  }

  #doorOf(owner: OpenDevice): IoLoop {
    return {
      watch: (fd, events, ready) => {
        this.#epoll.add(fd, events);
        this.#watches.set(fd, { owner, ready });
      },
      change: (fd, events) => this.#epoll.change(fd, events),
      unwatch: (fd) => this.#unwatch(fd),
      later: (work) => void this.#later.push({ owner, work }),
      timer: (work): IoTimer => {
        const timer = { owner, work, due: Infinity };
        this.#timers.push(timer);
        return {
          at(milliseconds) {
            timer.due = milliseconds;
          },
        };
      },
    };
  }
}
