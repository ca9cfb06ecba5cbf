/**
 * virtio-fs: a folder of the host in the guest (virtio 1.2 §5.11), as
 * `mount -t virtiofs TAG /mnt` there. FUSE messages come by the queues, and the folder is served in this
 * process (`vmm/fuse/folder.ts`), on the I/O thread.
 *
 *     queue 0      hiprio: FORGET, which nobody waits for
 *     queue 1, …   requests
 *
 * The nodes that the guest knows are kept on the I/O thread only. A guest that goes on from a saved state
 * finds those whose files are still at their paths (`vmm/fuse/folder_state.ts`), and is told ESTALE for
 * the others.
 *
 * @module
 */
import * as v from "valibot";
import { DocumentError, HostError } from "../../ffi/errors.ts";
import { openBeneath } from "../../ffi/file_at.ts";
import { O } from "../../ffi/file_structs.ts";
import { openFile, readTextFile } from "../../ffi/files.ts";
import { libc } from "../../ffi/libc.ts";
import { ignoreFileSizeSignal } from "../../ffi/signals.ts";
import { addr64, type Json, type Struct, struct, u32 } from "../../ffi/struct.ts";
import { type Backing, placeBacking } from "../backing.ts";
import type { PrepareContext, Prepared, Width } from "../device.ts";
import { DOT, Folder } from "../fuse/folder.ts";
import { restoreFolder, saveFolder } from "../fuse/folder_state.ts";
import { FuseRequest } from "../fuse/request.ts";
import { FuseServer, MALFORMED } from "../fuse/server.ts";
import type { IoLoop } from "../io_loop.ts";
import {
  ProtocolError,
  type VirtioContext,
  type VirtioDevice,
  type VirtioDeviceType,
} from "./virtio_device.ts";

const TAG_BYTES = 36;
const MOST_QUEUES = 16;
const tagBytes = (tag: string) => new TextEncoder().encode(tag);
const owner = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_fffe));

const schema = v.looseObject({
  /** The folder. */
  path: v.pipe(v.string(), v.nonEmpty(), v.check((path) => !path.includes("\0"), "holds a NUL")),
  /** What the guest mounts it by, 1 to 36 bytes. Default the device's name. */
  tag: v.optional(v.pipe(
    v.string(),
    v.nonEmpty(),
    v.check((tag) => !tag.includes("\0") && tagBytes(tag).length <= TAG_BYTES, "is not a tag"),
  )),
  /** Whether the guest can change nothing. */
  readonly: v.optional(v.boolean(), true),
  /** What all files' owner is in the guest. Default: the host user's files are root's. */
  uid: v.optional(owner),
  /** What all files' group is in the guest, the same. */
  gid: v.optional(owner),
  /** How long the guest may believe what it was told: not at all, a second, for ever. */
  cache: v.optional(v.picklist(["none", "auto", "always"]), "auto"),
  /** Request queues. */
  queues: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_QUEUES)),
    1,
  ),
});

/** What `prepare` adds to the entry. */
interface Opened {
  /** Descriptor of the folder. */
  readonly fd?: number;
  /** Descriptor of `/proc/self/fd`. */
  readonly links?: number;
  /** How many descriptors the device may have open for nodes; half as many for open files. */
  readonly descriptors?: number;
}

/** A shared folder's entry in the document. */
export type ShareConfig = v.InferOutput<typeof schema> & Opened;

const HIPRIO_SIZE = 128;
/** 256 pages and headers in one chain, where the driver uses no indirect descriptors. */
const REQUEST_SIZE = 1024;
const CONFIG_BYTES = TAG_BYTES + 4;
/** What is done before other devices have their turn. */
const TURN_REQUESTS = 64;
const TURN_BYTES = 4 << 20;
/** The part of the process's descriptors that one share may use, and what it has in any case. */
const DESCRIPTOR_SHARE = 1 / 8;
const LEAST_DESCRIPTORS = 32;
const MOST_DESCRIPTORS = 65536;
/** A Linux guest has more than this many bytes for each node that it knows. */
const GUEST_BYTES_PER_NODE = 1024;
const LEAST_NODES = 65536;

const State = struct("virtio_share", {
  /** Counts resets: what the I/O thread knows of an earlier driver is void. */
  session: u32,
  pad: u32,
  requests: addr64,
  errors: addr64,
  bytes_read: addr64,
  bytes_written: addr64,
  open_files: addr64,
  nodes: addr64,
  descriptors: addr64,
});

class Share implements VirtioDevice {
  readonly features = [];
  readonly configSize = CONFIG_BYTES;
  readonly #config: ShareConfig;
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof State>;
  readonly #space = new DataView(new ArrayBuffer(CONFIG_BYTES));
  readonly #scheduled: boolean[];
  #loop: IoLoop | undefined;
  #folder: Folder | undefined;
  #server: FuseServer | undefined;
  #session = 0;
  /** How much of the folder's counts the state has. */
  #read = 0;
  #written = 0;

  constructor(config: ShareConfig, context: VirtioContext) {
    this.#config = config;
    this.#context = context;
    this.#state = new State(context.state);
    this.#scheduled = context.queues.map(() => false);
    new Uint8Array(this.#space.buffer).set(tagBytes(config.tag ?? context.name));
    this.#space.setUint32(TAG_BYTES, config.queues, true);
  }

  readConfig(offset: number, width: Width): number {
    switch (width) {
      case 1:
        return this.#space.getUint8(offset);
      case 2:
        return this.#space.getUint16(offset, true);
      case 4:
        return this.#space.getUint32(offset, true);
    }
  }

  reset(): void {
    const state = this.#state;
    state.session = (state.session + 1) >>> 0;
    this.#context.wake(); // to close what the driver had open
  }

  attend(loop: IoLoop, kept?: Json): void {
    const { fd, links, descriptors, readonly, cache, uid, gid } = this.#config;
    this.#loop = loop;
    this.#session = this.#state.session;
    this.#folder = new Folder({
      fd: fd!,
      links: links!,
      readonly,
      cache,
      uid,
      gid,
      mostDescriptors: descriptors!,
      mostHandles: Math.floor(descriptors! / 2),
      mostInodes: LEAST_NODES + Math.floor(this.#context.memory.ramSize / GUEST_BYTES_PER_NODE),
    });
    const request = new FuseRequest();
    this.#server = new FuseServer(request, this.#folder.operations(request));
    if (kept !== undefined) restoreFolder(this.#folder, kept);
    this.#count(0, 0);
  }

  backing(): readonly Backing[] {
    return [placeBacking(this.#config.fd!, this.#config.path)];
  }

  kept(): Json {
    return saveFolder(this.#folder!);
  }

  notified(queue: number): void {
    if (this.#folder !== undefined) this.#serve(queue);
  }

  wake(): void {
    if (this.#folder !== undefined) this.#startOver();
  }

  close(): void {
    this.#folder?.[Symbol.dispose]();
    this.#folder = undefined;
    this.#server = undefined;
    this.#loop = undefined;
  }

  readonly gauges: readonly string[] = ["open_files", "nodes", "descriptors"];

  stats(): Readonly<Record<string, number>> {
    const { requests, errors, bytes_read, bytes_written, open_files, nodes, descriptors } =
      this.#state;
    return { requests, errors, bytes_read, bytes_written, open_files, nodes, descriptors };
  }

  /** Serves what waits in a queue, but not much more than a turn's worth. */
  #serve(index: number): void {
    const folder = this.#folder!;
    const server = this.#server!;
    const queue = this.#context.queues[index]!;
    this.#startOver();
    const bytes = folder.bytesRead + folder.bytesWritten + TURN_BYTES;
    const errors = server.errors;
    let done = 0;
    queue.disableNotifications();
    for (;;) {
      if (done === TURN_REQUESTS || folder.bytesRead + folder.bytesWritten >= bytes) {
        this.#later(index);
        break;
      }
      const chain = queue.pop();
      if (chain === undefined) {
        if (queue.enableNotifications()) continue;
        break;
      }
      const written = server.handle(chain);
      if (written === MALFORMED) {
        throw new ProtocolError(
          "A FUSE request is too short to have a header, or its reply's room is",
        );
      }
      queue.push(chain, written);
      done++;
    }
    queue.signal();
    this.#count(done, server.errors - errors);
  }

  #later(index: number): void {
    if (this.#scheduled[index]) return;
    this.#scheduled[index] = true;
    this.#loop!.later(() => {
      this.#scheduled[index] = false;
      if (this.#folder !== undefined) this.#serve(index);
    });
  }

  /** After a reset, what the driver before it knew is forgotten. */
  #startOver(): void {
    const { session } = this.#state;
    if (session === this.#session) return;
    this.#session = session;
    this.#folder!.clear();
    this.#count(0, 0);
  }

  #count(requests: number, errors: number): void {
    const state = this.#state;
    const { bytesRead, bytesWritten, handles, inodes, files } = this.#folder!;
    state.requests += requests;
    state.errors += errors;
    state.bytes_read += bytesRead - this.#read;
    state.bytes_written += bytesWritten - this.#written;
    this.#read = bytesRead;
    this.#written = bytesWritten;
    state.open_files = handles.size;
    state.nodes = inodes.size;
    state.descriptors = files.open;
  }
}

/** Shares that are prepared in this process: the second may use half of what the first may, … */
let shares = 0;

async function prepare(
  config: ShareConfig,
  context: PrepareContext,
): Promise<Prepared<ShareConfig>> {
  if (tagBytes(config.tag ?? context.name).length > TAG_BYTES) {
    throw new DocumentError(
      `The name ${context.name} is too long to be a tag, of 36 bytes at most`,
      {
        hint: `hvsh share ${config.path} --name ${context.name} --tag hostfs`,
      },
    );
  }
  await using stack = new AsyncDisposableStack();
  const fd = openFolder(config.path);
  stack.defer(() => void libc.close(fd));
  const links = openFile("/proc/self/fd", O.O_PATH | O.O_DIRECTORY);
  stack.defer(() => void libc.close(links));
  probe(fd, config.path);
  if (!config.readonly) ignoreFileSizeSignal();
  shares++;
  stack.defer(() => void shares--);
  const limit = Math.min(MOST_DESCRIPTORS, fileLimit() * DESCRIPTOR_SHARE / shares);
  const descriptors = Math.max(LEAST_DESCRIPTORS, Math.floor(limit));
  const kept = stack.move();
  return {
    config: { ...config, fd, links, descriptors },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

function openFolder(path: string): number {
  try {
    return openFile(path, O.O_PATH | O.O_DIRECTORY);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError("open", error.errno, { path, hint: "`hvsh share FOLDER` shares a folder" });
  }
}

/** Whether the kernel has what keeps the guest in its folder. */
function probe(fd: number, path: string): void {
  const again = openBeneath(fd, DOT, O.O_PATH | O.O_DIRECTORY);
  if (again < 0) {
    throw new HostError("openat2", -again, {
      path,
      hint: "sharing wants Linux 5.6 or newer, and a sandbox that lets openat2 pass",
    });
  }
  libc.close(again);
}

/** How many descriptors this process may have; Deno has raised it to what it may be. */
function fileLimit(): number {
  const match = /^Max open files +(\d+|unlimited)/m.exec(readTextFile("/proc/self/limits"));
  return match === null || match[1] === "unlimited" ? Infinity : Number(match[1]);
}

/** A shared folder. */
export const share: VirtioDeviceType<ShareConfig> = {
  type: "share",
  virtio: 26,
  pciClass: 0x01_8000, // mass storage, other
  state: State,
  schema,
  queues: ({ queues }) => [HIPRIO_SIZE, ...Array<number>(queues).fill(REQUEST_SIZE)],
  prepare,
  open: (config, context) => new Share(config, context),
};
