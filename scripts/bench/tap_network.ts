/**
 * A network namespace of its own for taps, with host_net.c in it.
 *
 * @module
 */
import { CServer } from "./c_server.ts";
import { GUEST_MAC, stray } from "./frames.ts";

/** Frames that a tap keeps for a VM that does not read them. */
const QUEUE_FRAMES = 4096;

/** The namespace. */
export class TapNetwork implements AsyncDisposable {
  /** Its file. */
  readonly path: string;
  /** The tap of host_net.c. */
  readonly ownTap = "host0";
  /** host_net.c, which puts frames into taps and has one itself. */
  readonly server: CServer;
  readonly #name: string;

  private constructor(name: string, server: CServer) {
    this.#name = name;
    this.path = pathOf(name);
    this.server = server;
  }

  /**
   * Makes it.
   *
   * @param hostNet host_net.c, compiled
   * @param signal Ends it at once
   * @returns It
   * @throws {Error} If this user may not
   */
  static async open(hostNet: string, signal: AbortSignal): Promise<TapNetwork> {
    const name = `hvsh-bench-${Deno.pid}`;
    await ip(["netns", "add", name]);
    const hex = Uint8Array.from(stray(GUEST_MAC)).toHex();
    const server = new CServer(hostNet, ["tap", pathOf(name), hex], signal);
    const network = new TapNetwork(name, server);
    try {
      await server.hear();
      await network.up(network.ownTap);
      return network;
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Gets an interface going, with room for what a bench puts into it.
   *
   * @param tap Its name
   */
  async up(tap: string): Promise<void> {
    const set = ["-n", this.#name, "link", "set", tap];
    await ip([...set, "txqueuelen", String(QUEUE_FRAMES), "up"]);
  }

  /**
   * Has a program run inside.
   *
   * @param command The program and its arguments
   * @returns A command that does it, in a process that is the program's own
   */
  inside(command: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.#name, ...command];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await ip(["netns", "del", this.#name]);
  }
}

function pathOf(name: string): string {
  return `/run/netns/${name}`;
}

async function ip(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("ip", { args }).output();
  if (!success) {
    throw new Error(`ip ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}
