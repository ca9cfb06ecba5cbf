/**
 * A network namespace of a test's own. It goes with the process that holds it, which ends with this
 * one however that ends.
 *
 * @module
 */
import "./c_library.ts";
import { closeFile } from "../ffi/files.ts";
import { check, libc } from "../ffi/libc.ts";
import { inNetworkNamespace } from "../ffi/network_namespace.ts";

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_DGRAM = 2;
const NONBLOCK_CLOEXEC = 0o4000 | 0o2000000;
const ETH_P_ALL = 3;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const SIOCGIFINDEX = 0x8933;

const { symbols: extra } = Deno.dlopen("libc.so.6", {
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
});

/** A namespace and sockets in it. */
export class TestNamespace implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #fds: number[] = [];

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** Makes one. */
  static async make(): Promise<TestNamespace> {
    const child = new Deno.Command("unshare", {
      args: ["--net", "sh", "-c", "echo made; exec cat"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    if (value === undefined) throw new Error("unshare made no network namespace");
    return new TestNamespace(child);
  }

  /** Its file. */
  get path(): string {
    return `/proc/${this.#child.pid}/ns/net`;
  }

  /** Runs a command in it, and gives what it prints. */
  async run(command: string, ...args: string[]): Promise<string> {
    const output = await new Deno.Command("nsenter", {
      args: [`--net=${this.path}`, command, ...args],
    }).output();
    if (!output.success) throw new Error(new TextDecoder().decode(output.stderr));
    return new TextDecoder().decode(output.stdout);
  }

  /**
   * A UDP socket in it, connected.
   *
   * @param from Its own address and port
   * @param to The other's
   * @returns A non-blocking descriptor, closed with the namespace
   */
  udp(
    from: readonly [readonly number[], number],
    to: readonly [readonly number[], number],
  ): number {
    return inNetworkNamespace(this.path, () => {
      const fd = check(libc.socket(AF_INET, SOCK_DGRAM | NONBLOCK_CLOEXEC, 0), "socket");
      this.#fds.push(fd);
      check(libc.bind(fd, inetAddress(...from), 16), "bind");
      check(libc.connect(fd, inetAddress(...to), 16), "connect");
      return fd;
    });
  }

  /**
   * A raw socket on one of its interfaces, whose frames have a header of 10 bytes before them:
   * `struct virtio_net_hdr` (packet(7)).
   *
   * @param name The interface
   * @returns A non-blocking descriptor, closed with the namespace
   */
  raw(name: string): number {
    return inNetworkNamespace(this.path, () => {
      const protocol = ((ETH_P_ALL & 0xff) << 8) | (ETH_P_ALL >> 8);
      const fd = check(libc.socket(AF_PACKET, SOCK_RAW | NONBLOCK_CLOEXEC, protocol), "socket");
      this.#fds.push(fd);
      const request = new DataView(new ArrayBuffer(40));
      new Uint8Array(request.buffer).set(new TextEncoder().encode(name));
      check(libc.ioctl_pointer(fd, SIOCGIFINDEX, request), "SIOCGIFINDEX");
      const address = new DataView(new ArrayBuffer(20)); // struct sockaddr_ll
      address.setUint16(0, AF_PACKET, true);
      address.setUint16(2, ETH_P_ALL);
      address.setInt32(4, request.getInt32(16, true), true);
      check(libc.bind(fd, new Uint8Array(address.buffer), 20), "bind");
      check(extra.setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, Int32Array.of(1), 4), "setsockopt");
      return fd;
    });
  }

  /** Sends by one of its sockets. */
  send(fd: number, bytes: Uint8Array<ArrayBuffer>): void {
    check(libc.write(fd, bytes, BigInt(bytes.length)), "write");
  }

  /** Takes what came to one of its sockets; undefined if there is nothing. */
  receive(fd: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(0x1_1000);
    const count = Number(libc.read(fd, bytes, BigInt(bytes.length)));
    return count < 0 ? undefined : bytes.slice(0, count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fds.forEach(closeFile);
    await this.#child.stdin.close();
    await this.#child.stdout.cancel();
    await this.#child.status;
  }
}

function inetAddress(address: readonly number[], port: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  address.forEach((byte, i) => view.setUint8(4 + i, byte));
  return new Uint8Array(view.buffer);
}
