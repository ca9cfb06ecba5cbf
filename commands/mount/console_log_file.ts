/**
 * `console.log`: what a VM's console has said, as far as it is kept. A detached VM's owner writes a file,
 * which is shown as it is; another one is asked.
 *
 * @module
 */
import { follow } from "../live/json_rpc.ts";
import type { Asker, FileNode, OpenFile } from "./node.ts";
import type { VmPlace } from "./vm_place.ts";

const PATH = "console.log";
const MODE = 0o400;

/**
 * The file.
 *
 * @param place Its VM
 */
export function consoleLogFile(place: VmPlace): FileNode {
  const { consoleLog } = place.directory;
  return {
    kind: "file",
    attributes: () => {
      const { size, mtime } = statOf(consoleLog);
      return { mode: MODE, size, ...(mtime === null ? {} : { mtime: mtime.getTime() }) };
    },
    open: () => statOf(consoleLog).isFile ? new OpenLog(place) : new OpenSaid(place),
  };
}

function statOf(path: string): Pick<Deno.FileInfo, "size" | "mtime" | "isFile"> {
  try {
    return Deno.statSync(path);
  } catch {
    return { size: 0, mtime: null, isFile: false };
  }
}

/** The owner's file. It is opened for each read: it may have been cut in two meanwhile. */
class OpenLog implements OpenFile {
  readonly #place: VmPlace;

  constructor(place: VmPlace) {
    this.#place = place;
  }

  async read(position: bigint, size: number): Promise<Uint8Array> {
    return await this.#place.attempt(PATH, () => {
      using file = Deno.openSync(this.#place.directory.consoleLog);
      file.seekSync(position, Deno.SeekMode.Start);
      const bytes = new Uint8Array(size);
      return bytes.subarray(0, file.readSync(bytes) ?? 0);
    });
  }
}

/** What an owner without such a file has in its memory. */
class OpenSaid implements OpenFile {
  readonly #place: VmPlace;
  #said: Uint8Array | undefined;

  constructor(place: VmPlace) {
    this.#place = place;
  }

  async read(position: bigint, size: number, asker: Asker): Promise<Uint8Array> {
    const at = Number(position);
    if (at === 0 || this.#said === undefined) {
      this.#said = await this.#place.attempt(PATH, async () => {
        if (!this.#place.live) throw this.#place.gone();
        return await this.#place.bounded(this.#ask(), asker);
      });
    }
    return this.#said.subarray(at, at + size);
  }

  async #ask(): Promise<Uint8Array> {
    const params = { log: true, follow: false };
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for await (const said of follow(this.#place.control, "console.attach", params)) {
      if (said.method !== "output") continue;
      pieces.push(Uint8Array.fromBase64((said.params as { data: string }).data));
    }
    return new Uint8Array(await new Blob(pieces).arrayBuffer());
  }
}
