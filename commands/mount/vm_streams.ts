/**
 * What comes from a VM as it happens: `events`, `exits`, `console`; and its state as one stream,
 * `snapshot`.
 *
 * @module
 */
import { HeldVm } from "../live/held_vm.ts";
import { follow } from "../live/json_rpc.ts";
import { writeSnapshot } from "../live/snapshot_stream.ts";
import type { Asker, FileNode } from "./node.ts";
import { OpenStream, type StreamOptions, type StreamSource } from "./stream_file.ts";
import type { VmPlace } from "./vm_place.ts";

const READ = 0o400;
const READ_WRITE = 0o600;
/** What has been typed and that the guest has not taken yet; beyond that who types waits. */
const MOST_TYPED = 2 ** 16;
/** How long to wait for a guest that takes nothing. */
const TYPING_SECONDS = 10;

const encoder = new TextEncoder();

/**
 * A file whose open ones are streams. Its length and time of change are what `tail -f` goes by: it has
 * as many bytes as its longest reader was given, and each change is another time.
 */
function streamNode(
  place: VmPlace,
  path: string,
  mode: number,
  open: (options: StreamOptions) => OpenStream,
): FileNode {
  let mtime = Date.now();
  let size = 0;
  let readers = 0;
  const came = (bytes: number) => {
    mtime = Math.max(Date.now(), mtime + 1);
    size = Math.max(size, bytes);
  };
  const closed = () => {
    if (--readers === 0) size = 0;
  };
  return {
    kind: "file",
    attributes: () => ({ mode, mtime, size }),
    open: async (access, asker) => {
      if (!place.live) throw place.gone();
      const opened = open({
        ...{ access, came, closed },
        failure: (error) => place.refusal(path, error),
      });
      readers++;
      try {
        await opened.ready(asker);
        return opened;
      } catch (error) {
        opened.close();
        throw error;
      }
    },
  };
}

/** Records of a method that goes on, a line each. */
function recordSource(
  place: VmPlace,
  method: string,
  params: Readonly<Record<string, unknown>>,
): StreamSource {
  return async function* (signal) {
    for await (
      const { method: said, params: value } of follow(place.control, method, params, signal)
    ) {
      const records = Array.isArray(value) ? value : said === "current" ? [] : [value];
      yield encoder.encode(records.map((record) => JSON.stringify(record) + "\n").join(""));
      if (said !== "event") yield "current";
    }
  };
}

/**
 * `events`: what has happened to the VM lately, and happens.
 *
 * @param place The VM
 */
export function eventsFile(place: VmPlace): FileNode {
  const source = recordSource(place, "events.read", { follow: true, mark: true });
  return streamNode(place, "events", READ_WRITE, (options) => new OpenStream(source, options));
}

/**
 * `exits`: its exits from KVM to hvsh, as long as it is open.
 *
 * @param place The VM
 */
export function exitsFile(place: VmPlace): FileNode {
  const source = recordSource(place, "watch.trace", {});
  return streamNode(
    place,
    "exits",
    READ_WRITE,
    (options) => new OpenStream(source, { ...options, look: true }),
  );
}

/**
 * `console`: what it says from now on, and what is typed.
 *
 * @param place The VM
 */
export function consoleFile(place: VmPlace): FileNode {
  const source: StreamSource = async function* (signal) {
    for await (const { method, params } of follow(place.control, "console.attach", {}, signal)) {
      if (method === "attached") yield "current";
      else yield Uint8Array.fromBase64((params as { data: string }).data);
    }
  };
  return streamNode(
    place,
    "console",
    READ_WRITE,
    (options) => new OpenConsole(place, source, options),
  );
}

class OpenConsole extends OpenStream {
  readonly #place: VmPlace;
  #typed = 0;

  constructor(place: VmPlace, source: StreamSource, options: StreamOptions) {
    super(source, options);
    this.#place = place;
  }

  /** The guest takes it when it likes; only who types far ahead of it waits. */
  async write(bytes: Uint8Array<ArrayBuffer>, _position: bigint, asker: Asker): Promise<void> {
    this.#typed += bytes.length;
    const waits = this.#typed > MOST_TYPED;
    const patient: Asker = waits ? asker : { ...asker, signal: new AbortController().signal };
    const sent = this.#place.attempt("console", async () => {
      try {
        const params = { data: bytes.toBase64() };
        await this.#place.ask("console.send", params, patient, TYPING_SECONDS);
      } finally {
        this.#typed -= bytes.length;
      }
    });
    if (waits) await sent;
    else sent.catch(() => {}); // error_log has it
  }
}

/**
 * `snapshot`: its whole state as a tar archive. It stands while that is read.
 *
 * @param place The VM
 */
export function snapshotFile(place: VmPlace): FileNode {
  const source: StreamSource = (signal) => snapshotBytes(place, signal);
  return streamNode(
    place,
    "snapshot",
    READ,
    (options) => new OpenStream(source, { ...options, whole: true }),
  );
}

async function* snapshotBytes(place: VmPlace, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  using held = await HeldVm.hold(place.directory, {}, signal);
  const chunks = new TransformStream<Uint8Array, Uint8Array>();
  const writer = chunks.writable.getWriter();
  const writing = writeSnapshot(held, {
    // Pieces are used again once they have been written.
    write: async (pieces) => {
      signal.throwIfAborted();
      for (const piece of pieces) await writer.write(piece.slice());
    },
  }).then(() => writer.close());
  writing.catch((error) => writer.abort(error)).catch(() => {});
  yield* chunks.readable;
  await writing;
  await held.release();
}
