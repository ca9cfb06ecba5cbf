/**
 * Every virtio device as an entry of a document, with what stands behind it on the host.
 *
 * @module
 */
import { TestFolder } from "./sh_line.ts";

/** A device's entry. */
export interface VirtioEntry extends Record<string, unknown> {
  readonly type: string;
}

/** Files, folders and sockets for devices of all kinds. */
export class VirtioEntries implements AsyncDisposable {
  readonly #folder = new TestFolder();
  readonly #listener: Deno.UnixListener;
  readonly #peers: Promise<void>;
  #number = 0;

  constructor() {
    const { path } = this.#folder;
    Deno.mkdirSync(`${path}/shared`);
    this.#listener = Deno.listen({ transport: "unix", path: `${path}/net` });
    this.#peers = this.#serve();
  }

  /** A new entry of each kind. */
  all(): readonly VirtioEntry[] {
    const { path } = this.#folder;
    const number = this.#number++;
    Deno.writeFileSync(`${path}/image${number}`, new Uint8Array(2 ** 16));
    return [
      { type: "rng" },
      { type: "disk", path: `${path}/image${number}` },
      { type: "net", backend: `unix:${path}/net` },
      { type: "console" },
      { type: "balloon" },
      { type: "share", path: `${path}/shared`, tag: "t" },
      { type: "vsock", cid: 42, path: `${path}/vsock${number}` },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#peers;
    await this.#folder[Symbol.asyncDispose]();
  }

  /** Takes every network card's frames, and drops them. */
  async #serve(): Promise<void> {
    const ended: Promise<void>[] = [];
    try {
      for await (const peer of this.#listener) {
        ended.push(peer.readable.pipeTo(new WritableStream()).catch(() => {}));
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
    await Promise.all(ended);
  }
}
