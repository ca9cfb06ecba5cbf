/**
 * Network interfaces of the host: their flags, addresses and MTU (netdevice(7)), in the network
 * namespace of the calling thread.
 *
 * @module
 */
import { closeFile } from "./files.ts";
import { check, cString, libc } from "./libc.ts";

const AF_INET = 2;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCSIFADDR = 0x8916;
const SIOCSIFNETMASK = 0x891c;
const SIOCSIFMTU = 0x8922;
const SIOCGIFINDEX = 0x8933;
const IFF_UP = 1;

/** `struct ifreq`: a name of up to 15 bytes and a union of 24. */
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;

/**
 * A `struct ifreq` for an interface.
 *
 * @param name The interface's name, at most 15 bytes
 * @returns Its bytes; the union starts at 16
 * @throws {TypeError} If the name is too long
 */
export function ifreq(name: string): DataView<ArrayBuffer> {
  const bytes = cString(name);
  if (bytes.length > IFNAMSIZ) throw new TypeError(`"${name}" has more than 15 bytes`);
  const view = new DataView(new ArrayBuffer(IFREQ_BYTES));
  new Uint8Array(view.buffer).set(bytes);
  return view;
}

/**
 * The name in a `struct ifreq`.
 *
 * @param request The struct
 */
export function ifreqName(request: DataView<ArrayBuffer>): string {
  const bytes = new Uint8Array(request.buffer, 0, IFNAMSIZ);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(bytes.subarray(0, end < 0 ? IFNAMSIZ : end));
}

/** An IPv4 address with the length of its network's prefix. */
export interface Ipv4Network {
  /** Four bytes in the order they are written. */
  readonly address: readonly number[];
  /** 0 to 32. */
  readonly prefix: number;
}

/** The interfaces of the namespace that the thread was in when this was made. */
export class NetworkInterfaces implements Disposable {
  readonly #socket = check(libc.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0), "socket");

  /**
   * Whether there is an interface.
   *
   * @param name Its name
   */
  has(name: string): boolean {
    return libc.ioctl_pointer(this.#socket, SIOCGIFINDEX, ifreq(name)) >= 0;
  }

  /**
   * Brings an interface up; one that is up already needs no privilege.
   *
   * @param name Its name
   * @throws {HostError} If the process may not
   */
  up(name: string): void {
    const request = ifreq(name);
    this.#ioctl(SIOCGIFFLAGS, "SIOCGIFFLAGS", name, request);
    const flags = request.getInt16(IFNAMSIZ, true);
    if ((flags & IFF_UP) !== 0) return;
    request.setInt16(IFNAMSIZ, flags | IFF_UP, true);
    this.#ioctl(SIOCSIFFLAGS, "SIOCSIFFLAGS", name, request);
  }

  /**
   * Gives an interface an IPv4 address.
   *
   * @param name Its name
   * @param network The address and its prefix length
   * @throws {HostError} If the process may not
   */
  setAddress(name: string, network: Ipv4Network): void {
    const { address, prefix } = network;
    const mask = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
    const request = ifreq(name);
    request.setUint16(IFNAMSIZ, AF_INET, true);
    address.forEach((byte, i) => request.setUint8(IFNAMSIZ + 4 + i, byte));
    this.#ioctl(SIOCSIFADDR, "SIOCSIFADDR", name, request);
    request.setUint32(IFNAMSIZ + 4, mask);
    this.#ioctl(SIOCSIFNETMASK, "SIOCSIFNETMASK", name, request);
  }

  /**
   * Sets an interface's MTU.
   *
   * @param name Its name
   * @param mtu Bytes
   * @throws {HostError} If it is out of the driver's range, or the process may not
   */
  setMtu(name: string, mtu: number): void {
    const request = ifreq(name);
    request.setInt32(IFNAMSIZ, mtu, true);
    this.#ioctl(SIOCSIFMTU, "SIOCSIFMTU", name, request);
  }

  #ioctl(code: number, what: string, name: string, request: DataView<ArrayBuffer>): void {
    check(libc.ioctl_pointer(this.#socket, code, request), what, {
      path: name,
      hint: "changing an interface wants CAP_NET_ADMIN",
    });
  }

  [Symbol.dispose](): void {
    closeFile(this.#socket);
  }
}
