/**
 * libslirp: a TCP/IP stack in a library, which turns a guest's frames into sockets of this process
 * (libslirp.h, version 4). It belongs to the thread that opens it.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { Errno } from "./errno.ts";
import { addr64, bytes, i32, struct, u32, u8 } from "./struct.ts";

const LIBRARIES = ["libslirp.so.0", "libslirp.so"];

const SYMBOLS = {
  slirp_new: { parameters: ["buffer", "buffer", "pointer"], result: "pointer" }, // Slirp *slirp_new(const SlirpConfig *, const SlirpCb *, void *opaque)
  slirp_cleanup: { parameters: ["pointer"], result: "void" }, // void slirp_cleanup(Slirp *)
  slirp_input: { parameters: ["pointer", "buffer", "i32"], result: "void" }, // void slirp_input(Slirp *, const uint8_t *pkt, int pkt_len)
  slirp_pollfds_fill: {
    parameters: ["pointer", "buffer", "function", "pointer"],
    result: "void",
  }, // void slirp_pollfds_fill(Slirp *, uint32_t *timeout, SlirpAddPollCb, void *opaque)
  slirp_pollfds_poll: {
    parameters: ["pointer", "i32", "function", "pointer"],
    result: "void",
  }, // void slirp_pollfds_poll(Slirp *, int select_error, SlirpGetREventsCb, void *opaque)
  slirp_add_hostfwd: {
    parameters: ["pointer", "i32", "u32", "i32", "u32", "i32"],
    result: "i32",
  }, // int slirp_add_hostfwd(Slirp *, int is_udp, struct in_addr host, int host_port, struct in_addr guest, int guest_port)
} as const satisfies Deno.ForeignLibraryInterface;

/** `SlirpConfig` of version 1; an address is four bytes in network order, a `bool` is one byte. */
export const SlirpConfig = struct("SlirpConfig", {
  version: u32,
  restricted: i32,
  in_enabled: u8,
  vnetwork: aligned4(bytes(4)),
  vnetmask: aligned4(bytes(4)),
  vhost: aligned4(bytes(4)),
  in6_enabled: u8,
  vprefix_addr6: aligned4(bytes(16)),
  vprefix_len: u8,
  vhost6: aligned4(bytes(16)),
  vhostname: addr64,
  tftp_server_name: addr64,
  tftp_path: addr64,
  bootfile: addr64,
  vdhcp_start: aligned4(bytes(4)),
  vnameserver: aligned4(bytes(4)),
  vnameserver6: aligned4(bytes(16)),
  vdnssearch: addr64,
  vdomainname: addr64,
  if_mtu: addr64,
  if_mru: addr64,
  disable_host_loopback: u8,
  enable_emu: u8,
});

/** What a descriptor is waited for (`SLIRP_POLL_`). */
export const SlirpPoll = { IN: 1, OUT: 2, PRI: 4, ERR: 8, HUP: 16 } as const;

/** Whoever runs a {@linkcode Slirp}; called from inside its methods. */
export interface SlirpOwner {
  /**
   * Takes a frame for the guest.
   *
   * @param address Where it lies, until this returns
   * @param length Bytes
   */
  output(address: Deno.PointerObject, length: number): void;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /**
   * Waits for a descriptor, until the next {@linkcode Slirp.fill}.
   *
   * @param fd The descriptor
   * @param events {@linkcode SlirpPoll}s, added up
   * @returns A number for it, from 0
   */
  addPoll(fd: number, events: number): number;
  /**
   * What came of a descriptor.
   *
   * @param index What {@linkcode addPoll} gave
   * @returns {@linkcode SlirpPoll}s, added up
   */
  revents(index: number): number;
  /** A descriptor is about to be closed. */
  closing(fd: number): void;
}

/** The network that the guest is in: four bytes an address. */
export interface SlirpNetwork {
  readonly network: readonly number[];
  readonly mask: readonly number[];
  readonly host: readonly number[];
  readonly guest: readonly number[];
  readonly nameserver: readonly number[];
  /** Bytes. */
  readonly mtu: number;
}

/** `SlirpCb` of version 1 has nine functions; more room than V8 gives a buffer in its moving heap. */
const TABLE_WORDS = 16;
/** An unused timer's handle: only IPv6's router advertisements take a timer, and IPv6 is off. */
const NO_TIMER = 1n;
/** What {@linkcode Slirp.fill} gives when there is nothing to be late for. */
export const NO_TIMEOUT = 0xffff_ffff;

/** A stack. */
export class Slirp implements Disposable {
  readonly #library: Deno.DynamicLibrary<typeof SYMBOLS>;
  readonly #slirp: Deno.PointerValue;
  readonly #callbacks: readonly { pointer: Deno.PointerObject; close(): void }[];
  /** The library keeps its address: it must stay where it is, and be kept from the collector. */
  readonly #table = new BigUint64Array(TABLE_WORDS);
  readonly #timeout = new Uint32Array(1);
  readonly #addPoll;
  readonly #revents;

  /**
   * @param network The guest's network
   * @param owner Who runs it
   * @throws {HostError} If the library is not there
   */
  constructor(network: SlirpNetwork, owner: SlirpOwner) {
    this.#library = openLibrary();
    this.#callbacks = callbacksOf(owner);
    this.#callbacks.forEach(({ pointer }, i) => {
      this.#table[i] = Deno.UnsafePointer.value(pointer);
    });
    this.#addPoll = new Deno.UnsafeCallback(
      { parameters: ["i32", "i32", "pointer"], result: "i32" },
      (fd, events) => owner.addPoll(fd, events),
    );
    this.#revents = new Deno.UnsafeCallback(
      { parameters: ["i32", "pointer"], result: "i32" },
      (index) => owner.revents(index),
    );
    const config = configOf(network).bytes();
    this.#slirp = this.#library.symbols.slirp_new(config, this.#table, null);
    if (this.#slirp === null) {
      this[Symbol.dispose]();
      throw new HostError("slirp_new", Errno.EINVAL);
    }
  }

  /**
   * Takes a frame of the guest.
   *
   * @param frame A buffer that starts with it
   * @param length Bytes of it
   */
  input(frame: Uint8Array<ArrayBuffer>, length: number): void {
    this.#library.symbols.slirp_input(this.#slirp, frame, length);
  }

  /**
   * Asks for the descriptors to wait for, by {@linkcode SlirpOwner.addPoll}.
   *
   * @returns Milliseconds after which {@linkcode poll} is due at the latest, or {@linkcode NO_TIMEOUT}
   */
  fill(): number {
    this.#timeout[0] = NO_TIMEOUT;
    const { symbols } = this.#library;
    symbols.slirp_pollfds_fill(this.#slirp, this.#timeout, this.#addPoll.pointer, null);
    return this.#timeout[0]!;
  }

  /** Works on what came, by {@linkcode SlirpOwner.revents}, and on what is due. */
  poll(): void {
    this.#library.symbols.slirp_pollfds_poll(this.#slirp, 0, this.#revents.pointer, null);
  }

  /**
   * Forwards a port of the host.
   *
   * @param udp UDP, else TCP
   * @param host The address that it listens on
   * @param hostPort Its port there
   * @param guest The guest's address
   * @param guestPort The guest's port
   * @returns Whether it listens now
   */
  addForward(
    udp: boolean,
    host: readonly number[],
    hostPort: number,
    guest: readonly number[],
    guestPort: number,
  ): boolean {
    const { symbols } = this.#library;
    const [from, to] = [inAddr(host), inAddr(guest)];
    return symbols.slirp_add_hostfwd(this.#slirp, udp ? 1 : 0, from, hostPort, to, guestPort) >= 0;
  }

  [Symbol.dispose](): void {
    if (this.#slirp !== null) this.#library.symbols.slirp_cleanup(this.#slirp);
    for (const callback of this.#callbacks) callback.close();
    this.#addPoll.close();
    this.#revents.close();
    this.#library.close();
  }
}

/**
 * Whether this host has the library.
 *
 * @returns Whether it can be loaded
 */
export function hasSlirp(): boolean {
  try {
    openLibrary().close();
    return true;
  } catch {
    return false;
  }
}

function openLibrary(): Deno.DynamicLibrary<typeof SYMBOLS> {
  let cause: unknown;
  for (const name of LIBRARIES) {
    try {
      return Deno.dlopen(name, SYMBOLS);
    } catch (error) {
      cause = error;
    }
  }
  throw new HostError("dlopen", Errno.ENOENT, {
    path: LIBRARIES[0]!,
    cause,
    hint: "install libslirp0 (Debian, Ubuntu) or libslirp (Fedora, Arch), or passt",
  });
}

function configOf(network: SlirpNetwork): InstanceType<typeof SlirpConfig> {
  const config = new SlirpConfig();
  config.version = 1;
  config.in_enabled = 1;
  config.vnetwork.set(network.network);
  config.vnetmask.set(network.mask);
  config.vhost.set(network.host);
  config.vdhcp_start.set(network.guest);
  config.vnameserver.set(network.nameserver);
  config.if_mtu = config.if_mru = network.mtu;
  return config;
}

/** `SlirpCb`'s functions in their order. */
function callbacksOf(owner: SlirpOwner) {
  return [
    // ssize_t send_packet(const void *buf, size_t len, void *opaque); a frame's length fits 32 bits
    new Deno.UnsafeCallback(
      { parameters: ["pointer", "u32", "pointer"], result: "i64" },
      (address, length) => {
        owner.output(address!, length);
        return BigInt(length);
      },
    ),
    // void guest_error(const char *msg, void *opaque)
    new Deno.UnsafeCallback({ parameters: ["pointer", "pointer"], result: "void" }, () => {}),
    // int64_t clock_get_ns(void *opaque)
    new Deno.UnsafeCallback(
      { parameters: ["pointer"], result: "i64" },
      () => BigInt(Math.floor(owner.now() * 1e6)),
    ),
    // void *timer_new(SlirpTimerCb, void *cb_opaque, void *opaque)
    new Deno.UnsafeCallback(
      { parameters: ["pointer", "pointer", "pointer"], result: "pointer" },
      () => Deno.UnsafePointer.create(NO_TIMER),
    ),
    // void timer_free(void *timer, void *opaque)
    new Deno.UnsafeCallback({ parameters: ["pointer", "pointer"], result: "void" }, () => {}),
    // void timer_mod(void *timer, int64_t expire_time, void *opaque)
    new Deno.UnsafeCallback(
      { parameters: ["pointer", "i64", "pointer"], result: "void" },
      () => {},
    ),
    // void register_poll_fd(int fd, void *opaque)
    new Deno.UnsafeCallback({ parameters: ["i32", "pointer"], result: "void" }, () => {}),
    // void unregister_poll_fd(int fd, void *opaque)
    new Deno.UnsafeCallback(
      { parameters: ["i32", "pointer"], result: "void" },
      (fd) => owner.closing(fd),
    ),
    // void notify(void *opaque)
    new Deno.UnsafeCallback({ parameters: ["pointer"], result: "void" }, () => {}),
  ];
}

/** A `struct in_addr` by value: its bytes as they lie in memory. */
function inAddr(address: readonly number[]): number {
  return new DataView(Uint8Array.from(address).buffer).getUint32(0, true);
}

/** `struct in_addr` and `struct in6_addr` are aligned as a `uint32_t`. */
function aligned4(field: ReturnType<typeof bytes>): ReturnType<typeof bytes> {
  return { ...field, align: 4 };
}
