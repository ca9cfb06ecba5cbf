/**
 * passt: user networking by a process of its own, which sandboxes itself. It speaks the stream
 * backend's framing over one end of a socket pair, so no path is left behind, and it ends by itself
 * when this process does, however that ends.
 *
 * @module
 */
import { addressOf } from "../../../ffi/address_of.ts";
import { Errno } from "../../../ffi/errno.ts";
import { HostError, VmError } from "../../../ffi/errors.ts";
import { closeFile, readTextFile } from "../../../ffi/files.ts";
import { receiveBytes, SocketVectors } from "../../../ffi/stream_socket.ts";
import { keepOnExec, socketPair } from "../../../ffi/unix_socket.ts";
import { ipv4Text, macText } from "./addresses.ts";
import { arpReply, arpRequest } from "./arp.ts";
import type { Forward } from "./forward.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { UserNetwork } from "./user_network.ts";

/** What passt announces by DHCP if nobody says otherwise: as much as a frame of 64 KiB holds. */
const DEFAULT_MTU = 65520;
const START_MILLISECONDS = 10_000;
const END_MILLISECONDS = 2_000;
const MOST_MESSAGE = 4096;
const LENGTH_BYTES = 4;
/** Makes the buffer one that V8 does not move. */
const PADDING = 64;

/** What a passt is to do. */
export interface PasstOptions {
  /** Its program. */
  readonly program: string;
  /** Ports that lead to the guest. */
  readonly forwards: readonly Forward[];
  /** Bytes of the longest packet. */
  readonly mtu?: number;
  /** The guest's MAC address, six bytes. */
  readonly mac: Uint8Array;
}

/**
 * Looks for passt on PATH.
 *
 * @returns Its path, or undefined
 */
export function findPasst(): string | undefined {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    if (folder === "") continue;
    try {
      const path = `${folder}/passt`;
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch {
      // Not there, or not ours to look at.
    }
  }
  return undefined;
}

/**
 * Whether a passt can't name its version, as Debian 12's can't. That one may spin for ever when guest
 * and host close a connection in the same moment.
 *
 * @param program Its path
 */
export async function isUnversioned(program: string): Promise<boolean> {
  const { stdout } = await new Deno.Command(program, { args: ["--version"], stdin: "null" })
    .output();
  return /unknown version/.test(new TextDecoder().decode(stdout));
}

/** A running passt. */
export class Passt implements AsyncDisposable {
  /** This side of its socket, non-blocking. */
  readonly fd: number;
  readonly #child: Deno.ChildProcess;
  readonly #messages: Promise<string>;

  private constructor(child: Deno.ChildProcess, fd: number) {
    this.#child = child;
    this.fd = fd;
    this.#messages = lastMessages(child.stderr);
  }

  /**
   * Starts it, and waits until it answers.
   *
   * @param options What it is to do
   * @returns It
   * @throws {VmError} With its own words, if it does not start
   */
  static async start(options: PasstOptions): Promise<Passt> {
    const [ours, its] = socketPair();
    let passt: Passt;
    try {
      keepOnExec(its);
      // Nothing else of this process starts programs between here and the end of this turn.
      const child = new Deno.Command(options.program, {
        args: argumentsOf(options, its),
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
      passt = new Passt(child, ours);
    } catch (error) {
      closeFile(ours);
      throw error;
    } finally {
      closeFile(its);
    }
    try {
      await passt.#answers(options.mac);
      return passt;
    } catch (error) {
      await passt[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Its process. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    closeFile(this.fd);
    this.#kill("SIGTERM");
    const timer = setTimeout(() => this.#kill("SIGKILL"), END_MILLISECONDS);
    await this.#child.status;
    clearTimeout(timer);
    await this.#messages;
  }

  /**
   * Asks who has the router's address until there is an answer. That is the only sign of life passt
   * gives over a socket that it was handed, and it learns the guest's MAC address from it.
   */
  async #answers(mac: Uint8Array): Promise<void> {
    const exited = this.#child.status.then(() => true);
    const request = arpRequest(mac, UserNetwork.GUEST, UserNetwork.HOST);
    const framed = new Uint8Array(LENGTH_BYTES + request.length + PADDING);
    new DataView(framed.buffer).setUint32(0, request.length);
    framed.set(request, LENGTH_BYTES);
    const vectors = new SocketVectors(); // a passt that is gone already must be no SIGPIPE
    vectors.set(0, addressOf(framed), LENGTH_BYTES + request.length);
    if (vectors.send(this.fd, 1) !== LENGTH_BYTES + request.length) throw await this.#failure();
    const splitter = new FrameSplitter();
    const end = performance.now() + START_MILLISECONDS;
    for (let pause = 1; performance.now() < end; pause = Math.min(2 * pause, 50)) {
      const count = receiveBytes(this.fd, splitter.room());
      if (count > 0) {
        splitter.filled(count);
        for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) {
          if (arpReply(frame, UserNetwork.HOST)) return;
        }
      } else if (count !== -Errno.EAGAIN) {
        throw await this.#failure();
      }
      if (await either(exited, pause)) throw await this.#failure();
    }
    throw new VmError(`passt (process ${this.pid}) does not answer`);
  }

  async #failure(): Promise<VmError> {
    this.#kill("SIGTERM");
    const messages = await this.#messages;
    return new VmError(`passt did not start: ${messages || "it said nothing"}`, {
      hint: "--backend slirp does the same by libslirp",
    });
  }

  #kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended
    }
  }
}

function argumentsOf(options: PasstOptions, fd: number): string[] {
  const args = ["--foreground", "--stderr", "--quiet", "--fd", String(fd), "--ipv4-only"];
  args.push("--address", ipv4Text(UserNetwork.GUEST), "--netmask", String(UserNetwork.PREFIX));
  args.push("--gateway", ipv4Text(UserNetwork.HOST));
  args.push("--mac-addr", macText(UserNetwork.HOST_MAC));
  args.push("--dns-forward", ipv4Text(UserNetwork.NAMESERVER));
  args.push("--mtu", String(options.mtu ?? DEFAULT_MTU));
  // Without a way out passt wants to be told an interface; the host's own services are reached by it.
  if (!hasDefaultRoute()) args.push("--interface", "lo");
  for (const { protocol, address, hostPort, guestPort } of options.forwards) {
    const port = `${ipv4Text(address)}/${hostPort}:${guestPort}`;
    args.push(protocol === "tcp" ? "--tcp-ports" : "--udp-ports", port);
  }
  return args;
}

/** Whether the host has a default route: /proc/net/route has the destination second, in hex. */
function hasDefaultRoute(): boolean {
  try {
    return readTextFile("/proc/thread-self/net/route").split("\n").slice(1)
      .some((line) => line.split("\t")[1] === "00000000");
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}

/** The end of what it says, without its complaints that there is no system log. */
async function lastMessages(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as ReadableWritablePair)) {
    text = (text + chunk).slice(-MOST_MESSAGE);
  }
  return text.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && !/to syslog$|^Don't run as root/.test(line)).join("; ");
}

async function either(exited: Promise<boolean>, milliseconds: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  try {
    return await Promise.race([exited, promise]);
  } finally {
    clearTimeout(timer);
  }
}
