/**
 * The slirp backend: user networking in this process, by libslirp.
 *
 * libslirp names the descriptors that it waits for anew after each step, as poll(2) has it. Here each
 * stays in the loop's epoll, edge-triggered: it is told of once, kept, handed over at the next step,
 * and asked for again after it.
 *
 * @module
 */
import { EpollEvent } from "../../../ffi/epoll.ts";
import { HostError } from "../../../ffi/errors.ts";
import { Errno } from "../../../ffi/errno.ts";
import { NO_TIMEOUT, Slirp, type SlirpOwner, SlirpPoll } from "../../../ffi/slirp.ts";
import type { IoLoop, IoTimer } from "../../io_loop.ts";
import type { Chain } from "../../virtio/virtio_device.ts";
import { ipv4Text } from "./addresses.ts";
import type { Forward } from "./forward.ts";
import { FrameQueue } from "./frame_queue.ts";
import {
  type BackendOwner,
  HEADER_BYTES,
  MAX_FRAME,
  type NetBackend,
  type ReceiveTarget,
  Sent,
} from "./net_backend.ts";
import { UserNetwork } from "./user_network.ts";

/** Frames that may wait for the guest: a mebibyte, or this many where they are long. */
const WAITING_BYTES = 2 ** 20;
const WAITING_FRAMES = 64;
/** An Ethernet header with a VLAN tag. */
const LINK_BYTES = 18;
/** Linux's EPOLLPRI. */
const EPOLLPRI = 2;

/** A descriptor of libslirp's. */
interface Watched {
  readonly fd: number;
  /** epoll events that are waited for. */
  events: number;
  /** What has come since the last step. */
  revents: number;
  /** The step that asked for it last. */
  step: number;
}

/** libslirp on the I/O thread. */
export class SlirpBackend implements NetBackend, SlirpOwner {
  readonly now: () => number;
  readonly #forwards: readonly Forward[];
  readonly #mtu: number;
  readonly #frames: FrameQueue;
  readonly #out = new Uint8Array(MAX_FRAME);
  readonly #watched = new Map<number, Watched>();
  readonly #polled: Watched[] = [];
  #polls = 0;
  #step = 0;
  #slirp: Slirp | undefined;
  #loop: IoLoop | undefined;
  #timer: IoTimer | undefined;
  #owner: BackendOwner | undefined;
  #stepping = false;
  #wanted = false;
  #told = false;

  /**
   * @param forwards Ports that lead to the guest
   * @param mtu Bytes of the longest packet
   * @param now Milliseconds of the monotonic clock
   */
  constructor(forwards: readonly Forward[], mtu: number, now: () => number) {
    this.#forwards = forwards;
    this.#mtu = mtu;
    this.now = now;
    const longest = mtu + LINK_BYTES;
    const count = Math.max(WAITING_FRAMES, Math.floor(WAITING_BYTES / longest));
    this.#frames = new FrameQueue(longest, count);
  }

  attend(loop: IoLoop, owner: BackendOwner): void {
    this.#loop = loop;
    this.#owner = owner;
    this.#timer = loop.timer(() => this.#soon());
    this.#slirp = new Slirp({
      network: UserNetwork.NETWORK,
      mask: UserNetwork.MASK,
      host: UserNetwork.HOST,
      guest: UserNetwork.GUEST,
      nameserver: UserNetwork.NAMESERVER,
      mtu: this.#mtu,
    }, this);
    for (const { protocol, address, hostPort, guestPort } of this.#forwards) {
      const guest = UserNetwork.GUEST;
      if (this.#slirp.addForward(protocol === "udp", address, hostPort, guest, guestPort)) continue;
      throw new HostError("bind", Errno.EADDRINUSE, {
        path: `${protocol}:${ipv4Text(address)}:${hostPort}`,
        hint: "another process has the port; forward another one",
      });
    }
    this.#soon();
  }

  send(_pair: number, _header: Uint8Array, chain: Chain, length: number): number {
    if (this.#slirp === undefined) return Sent.FAILED;
    chain.read(HEADER_BYTES, this.#out.subarray(0, length));
    this.#slirp.input(this.#out, length);
    this.#soon();
    return Sent.DONE;
  }

  receive(_pair: number, target: ReceiveTarget): boolean {
    const frame = this.#frames.shift();
    if (frame === undefined) {
      this.#told = false;
      return false;
    }
    target.take(frame);
    if (this.#frames.length === 0) this.#soon(); // it may have stood still
    return true;
  }

  wantFrames(_pair: number, wanted: boolean): void {
    this.#wanted = wanted;
    if (wanted) this.#tell();
    else this.#told = false;
  }

  close(): void {
    for (const { fd } of this.#watched.values()) this.#loop?.unwatch(fd);
    this.#watched.clear();
    this.#timer?.at(Infinity);
    this.#slirp?.[Symbol.dispose]();
    this.#slirp = undefined;
    this.#loop = undefined;
  }

  output(address: Deno.PointerObject, length: number): void {
    if (this.#frames.push(address, length)) this.#tell();
    else this.#owner!.dropped();
  }

  addPoll(fd: number, events: number): number {
    let watched = this.#watched.get(fd);
    const wanted = toEpoll(events);
    if (watched === undefined) {
      watched = { fd, events: wanted, revents: 0, step: 0 };
      const entry = watched;
      this.#watched.set(fd, entry);
      this.#loop!.watch(fd, wanted + EpollEvent.EDGE, (came) => {
        entry.revents |= came;
        this.#soon();
      });
    } else if (watched.events !== wanted || watched.revents !== 0) {
      watched.events = wanted;
      watched.revents = 0;
      this.#loop!.change(fd, wanted + EpollEvent.EDGE);
    }
    watched.step = this.#step;
    this.#polled[this.#polls] = watched;
    return this.#polls++;
  }

  revents(index: number): number {
    return index < this.#polls ? toSlirp(this.#polled[index]!.revents) : 0;
  }

  closing(fd: number): void {
    if (this.#watched.delete(fd)) this.#loop!.unwatch(fd);
  }

  #tell(): void {
    if (this.#told || !this.#wanted || this.#frames.length === 0) return;
    this.#told = true;
    this.#loop?.later(() => this.#owner!.readable(0));
  }

  #soon(): void {
    if (this.#stepping) return;
    this.#stepping = true;
    this.#loop?.later(() => this.#work());
  }

  /**
   * One step. While the guest does not take its frames the host's sockets are not read either, so
   * that their senders wait.
   */
  #work(): void {
    this.#stepping = false;
    const slirp = this.#slirp;
    if (slirp === undefined || this.#frames.halfFull) return;
    slirp.poll();
    this.#polls = 0;
    this.#step++;
    const timeout = slirp.fill();
    for (const watched of this.#watched.values()) {
      if (watched.step === this.#step) continue;
      this.#watched.delete(watched.fd);
      this.#loop!.unwatch(watched.fd);
    }
    this.#timer!.at(timeout === NO_TIMEOUT ? Infinity : this.now() + timeout);
  }
}

function toEpoll(events: number): number {
  return ((events & SlirpPoll.IN) !== 0 ? EpollEvent.IN : 0) |
    ((events & SlirpPoll.OUT) !== 0 ? EpollEvent.OUT : 0) |
    ((events & SlirpPoll.PRI) !== 0 ? EPOLLPRI : 0);
}

function toSlirp(events: number): number {
  return ((events & EpollEvent.IN) !== 0 ? SlirpPoll.IN : 0) |
    ((events & EpollEvent.OUT) !== 0 ? SlirpPoll.OUT : 0) |
    ((events & EPOLLPRI) !== 0 ? SlirpPoll.PRI : 0) |
    ((events & EpollEvent.ERR) !== 0 ? SlirpPoll.ERR : 0) |
    ((events & EpollEvent.HUP) !== 0 ? SlirpPoll.HUP : 0);
}
