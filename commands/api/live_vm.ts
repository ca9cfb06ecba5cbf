/**
 * A VM that runs in another process, by its control socket.
 *
 * @module
 */
import type { DeviceEntry } from "../../vmm/document.ts";
import type { VmEvent } from "../live/event_log.ts";
import { callToEnd, follow } from "../live/json_rpc.ts";
import { outputBytes } from "../live/attach_console.ts";
import type { ExitRecord, Handle } from "../live/owner.ts";
import { RpcConnection } from "../live/rpc_connection.ts";
import { findVm, type RunDirectory } from "../live/run_directory.ts";
import { type ConsoleSource, VmConsole } from "./vm_console.ts";
import { VmWatch } from "./vm_watch.ts";
import { liveSource } from "./watch_source.ts";

/** Which events to read. */
export interface EventOptions {
  /** Those before this time are left out, in milliseconds since 1970. Default: none is. */
  readonly since?: number;
  /** Go on until the VM has ended. Default true. */
  readonly follow?: boolean;
  /** Ends it. */
  readonly signal?: AbortSignal;
}

/** How a live VM is; its keys are those that `hvsh status` prints. */
export interface VmStatus extends Handle {
  /** Since its start. */
  readonly seconds: number;
  readonly cpus: number;
  /** Bytes of RAM. */
  readonly memory: number;
  /** Names of its devices. */
  readonly devices: readonly string[];
  /** How often it has started anew. */
  readonly resets: number;
}

/** Seconds that a guest is waited for. */
const SECONDS = 30;
const DETACH_SECONDS = 10;

/** A VM that runs in another process; disposing it closes the connection, and the VM runs on. */
export class LiveVm implements Disposable {
  /** Its name. */
  readonly name: string;
  /** Its exits, its figures, and where its vCPUs stand. */
  readonly watch: VmWatch;
  readonly #directory: RunDirectory;
  readonly #connection: RpcConnection;
  readonly #closed = new AbortController();
  /** Where its console was when this connected. */
  readonly #place: number;
  #console: VmConsole | undefined;

  /**
   * @param directory Its folder
   * @param connection A connection to it
   * @param place How many bytes its console has said
   */
  constructor(directory: RunDirectory, connection: RpcConnection, place: number) {
    this.name = directory.name;
    this.#directory = directory;
    this.watch = new VmWatch(liveSource(directory, this.#closed.signal));
    this.#connection = connection;
    this.#place = place;
  }

  /** Its console: what it has said since {@linkcode connect}. */
  get console(): VmConsole {
    return this.#console ??= new VmConsole(this.#consoleSource());
  }

  /**
   * Calls a method of the control socket.
   *
   * @param method The method, `control.pause`
   * @param params Its parameters
   * @returns Its result
   * @throws {VmError} If it failed, or the VM has ended
   */
  async call(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    return await this.#connection.call(method, params);
  }

  /** How it is. */
  async status(): Promise<VmStatus> {
    return await this.call("control.describe") as VmStatus;
  }

  /**
   * Pauses it: every vCPU stands between two instructions when this resolves.
   *
   * @throws {VmError} If it does not run
   */
  async pause(): Promise<void> {
    await this.call("control.pause");
  }

  /**
   * Lets it go on.
   *
   * @throws {VmError} If it is not paused
   */
  async resume(): Promise<void> {
    await this.call("control.resume");
  }

  /** Starts it anew in place, as its reset button would. */
  async reset(): Promise<void> {
    await this.call("control.reset");
  }

  /** Waits for its end; `hvsh wait` does not hear of it then. */
  async wait(): Promise<ExitRecord> {
    return await this.call("control.wait") as ExitRecord;
  }

  /**
   * Presses its power button, and ends it if it does not end by itself. Its name is free then.
   *
   * @param options `seconds` is how long to wait for the guest. Default 30
   * @returns How it ended
   */
  async stop(options: { seconds?: number } = {}): Promise<ExitRecord> {
    const { seconds = SECONDS } = options;
    return await callToEnd(this.#directory.control, "control.stop", { seconds }) as ExitRecord;
  }

  /** Ends it at once and says how it ended. Its name is free then. */
  async kill(): Promise<ExitRecord> {
    return await callToEnd(this.#directory.control, "control.kill") as ExitRecord;
  }

  /**
   * Plugs a device into its PCI bus.
   *
   * @param entry As in a document's `devices`: `{ type: "disk", path: "/data.img" }`
   * @returns The device's name
   * @throws {VmError} If it is no such device, or its entry is wrong
   */
  async attach(entry: DeviceEntry): Promise<string> {
    return await this.call("device.attach", { entry }) as string;
  }

  /**
   * Has the guest let a device of the PCI bus go, and takes it away.
   *
   * @param device The device's name
   * @param options `seconds` is how long to wait for the guest. Default 10
   * @throws {VmError} If there is no such device, or the guest does not let it go
   */
  async detach(device: string, options: { seconds?: number } = {}): Promise<void> {
    const { seconds = DETACH_SECONDS } = options;
    await this.call("device.detach", { device, seconds });
  }

  /**
   * Tells a device to do something: `resize` to a disk, `link` to a net, `powerbutton` to `pm`.
   *
   * @param device The device's name
   * @param action What it is to do
   * @param value With what
   * @returns False if there is no such device or action
   */
  async act(device: string, action: string, value?: string): Promise<boolean> {
    const params = { device, action, ...(value === undefined ? {} : { value }) };
    return await this.call("device.act", params) as boolean;
  }

  /** What its devices have counted since its start, by device and name. */
  async stats(): Promise<Record<string, Readonly<Record<string, number>>>> {
    return await this.call("device.stats") as Record<string, Readonly<Record<string, number>>>;
  }

  /**
   * What happens to it, those of its last 1024 events first that were before.
   *
   * @param options Which
   * @returns Each event
   */
  async *events(options: EventOptions = {}): AsyncGenerator<VmEvent> {
    const { since = 0, follow: following = true, signal } = options;
    const params = { since, follow: following };
    const end = signal === undefined
      ? this.#closed.signal
      : AbortSignal.any([signal, this.#closed.signal]);
    for await (const event of follow(this.#directory.control, "events.read", params, end)) {
      yield event.params as VmEvent;
    }
  }

  [Symbol.dispose](): void {
    this.#closed.abort();
    this.#connection[Symbol.dispose]();
  }

  #consoleSource(): ConsoleSource {
    const ended = Promise.withResolvers<void>();
    return {
      ended: ended.promise,
      console: {
        attach: (sink) => void this.#readConsole(sink).then(ended.resolve, ended.resolve),
        send: async (bytes) => void await this.call("console.send", { data: bytes.toBase64() }),
      },
    };
  }

  async #readConsole(sink: (bytes: Uint8Array<ArrayBuffer>) => void): Promise<void> {
    const params = { from: this.#place };
    const { signal } = this.#closed;
    const output = follow(this.#directory.control, "console.attach", params, signal);
    for await (const { method, params } of output) {
      if (method === "output") sink(outputBytes(params));
    }
  }
}

/**
 * Connects to a VM that runs in another process of yours.
 *
 * @param name Its name, as `hvsh list` shows it
 * @returns The VM
 * @throws {VmError} If there is no live VM of that name
 * @example
 * ```ts
 * import { connect, type LiveVm } from "../../mod.ts";
 * import assert from "node:assert/strict";
 *
 * async function load(name: string): Promise<string> {
 *   using vm: LiveVm = await connect(name);
 *   await vm.console.send("uptime\n");
 *   return await vm.console.until("load average");
 * }
 * await assert.rejects(load("nobody"), /There is no live VM named "nobody"/);
 * ```
 */
export async function connect(name: string): Promise<LiveVm> {
  const directory = findVm(name);
  const connection = await RpcConnection.open(directory.control);
  const place = await connection.call("console.place") as number;
  return new LiveVm(directory, connection, place);
}
