/**
 * virtio-blk: a disk (virtio 1.2 §5.2). What stands behind it is in `vmm/backends/disk`, what becomes
 * of requests in `disk/requests.ts`.
 *
 * @module
 */
import * as v from "valibot";
import { diskFileStatus, lockDiskFile, unlockDiskFile } from "../../ffi/disk_file.ts";
import { VmError } from "../../ffi/errors.ts";
import { syncFile } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import type { Struct } from "../../ffi/struct.ts";
import { type Backing, fileBacking } from "../backing.ts";
import { backendOf, openDisk, type OpenedDisk } from "../backends/disk/disk_source.ts";
import type { Width } from "../device.ts";
import type { IoLoop } from "../io_loop.ts";
import { parseDeviceSize } from "../size.ts";
import { configSpace, VirtioBlkConfig } from "./disk/config_space.ts";
import { BlkFeature, ID_BYTES, QUEUE_SIZE, SECTOR } from "./disk/protocol.ts";
import { DiskRequests } from "./disk/requests.ts";
import { DiskState, WRITEBACK_UNTOUCHED } from "./disk/state.ts";
import { RateLimitSchema } from "./rate_limit.ts";
import type { VirtioContext, VirtioDevice, VirtioDeviceType } from "./virtio_device.ts";

const MOST_QUEUES = 16;

const text = v.pipe(v.string(), v.nonEmpty(), v.check((s) => !s.includes("\0"), "has a NUL byte"));

const schema = v.looseObject({
  /** An image or a block device. */
  path: v.optional(text),
  /** In its place: an NBD server, `unix:/path` or `nbd+unix:///EXPORT?socket=/path`. */
  nbd: v.optional(text),
  /** The server's export. */
  export: v.optional(v.string()),
  /** For how many seconds the NBD server may say nothing while it is asked. Default 30. */
  timeout: v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(86400))),
  /** Nothing is written. Default false. */
  readonly: v.optional(v.boolean()),
  /** A file for what is written, or `temporary`; the image stays as it is. */
  overlay: v.optional(text),
  /** `none` goes around the host's page cache. Default `writeback`. */
  cache: v.optional(v.picklist(["writeback", "none"])),
  /** How files are read and written. Default `io_uring`, and `preadv` where there is none. */
  engine: v.optional(v.picklist(["io_uring", "preadv"])),
  /** How many queues, 1 to 16. Default 1. */
  queues: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_QUEUES))),
  /** What the guest finds in /dev/disk/by-id, up to 20 bytes. Default the device's name. */
  serial: v.optional(
    v.pipe(text, v.maxBytes(ID_BYTES, `is longer than ${ID_BYTES} bytes`)),
  ),
  /** What it may do a second. */
  limit: v.optional(RateLimitSchema),
});

/** A disk's entry in the document, and what was opened for it. */
export type DiskConfig = v.InferOutput<typeof schema> & { readonly opened?: OpenedDisk };

class Disk implements VirtioDevice {
  readonly features: readonly number[];
  readonly formerFeatures = [BlkFeature.SIZE_MAX];
  readonly configSize = VirtioBlkConfig.size;
  readonly #config: DiskConfig;
  readonly #disk: OpenedDisk;
  readonly #context: VirtioContext;
  readonly #state: Struct<typeof DiskState>;
  readonly #space: Struct<typeof VirtioBlkConfig>;
  #requests: DiskRequests | undefined;

  constructor(config: DiskConfig, context: VirtioContext) {
    this.#config = config;
    this.#disk = config.opened!;
    this.#context = context;
    this.#state = new DiskState(context.state);
    this.#space = configSpace(this.#disk, context.queues.length);
    this.features = featuresOf(this.#disk);
  }

  readConfig(offset: number, width: Width): number {
    const space = this.#space;
    space.capacity = this.#state.capacity;
    const { writeback } = this.#state;
    space.writeback = writeback === WRITEBACK_UNTOUCHED
      ? Number(this.#context.has(BlkFeature.FLUSH))
      : writeback;
    switch (width) {
      case 1:
        return space.view.getUint8(offset);
      case 2:
        return space.view.getUint16(offset, true);
      case 4:
        return space.view.getUint32(offset, true);
    }
  }

  writeConfig(offset: number, width: Width, value: number): void {
    if (offset !== VirtioBlkConfig.offsets.writeback || width !== 1) return;
    if (this.#context.has(BlkFeature.CONFIG_WCE)) this.#state.writeback = value & 1;
  }

  reset(): void {
    const s = this.#state;
    if (s.capacity === 0) s.capacity = Math.floor(this.#disk.size / SECTOR);
    s.writeback = WRITEBACK_UNTOUCHED;
  }

  restored(): void {
    const s = this.#state;
    const sectors = Math.floor(this.#disk.size / SECTOR);
    if (s.capacity > sectors) {
      throw new TypeError(`state.capacity is ${s.capacity} sectors, but the image has ${sectors}`);
    }
    if (s.writeback > WRITEBACK_UNTOUCHED) throw new TypeError(`state.writeback is ${s.writeback}`);
    if (s.capacity === 0) s.capacity = sectors;
    s.in_flight = 0;
  }

  backing(): readonly Backing[] {
    const { path = "", overlay = "" } = this.#config;
    const { storage } = this.#disk;
    switch (storage.kind) {
      case "file":
        return [fileBacking(storage.fd, path)];
      case "overlay": {
        const base = fileBacking(storage.base, path);
        return storage.kept ? [base, fileBacking(storage.fd, overlay)] : [base];
      }
      case "nbd":
        return [];
    }
  }

  /** An NBD server's cache is there for whoever asks it next, and a temporary overlay is nobody's. */
  async flush(): Promise<void> {
    const { storage, readOnly } = this.#disk;
    if (readOnly || storage.kind === "nbd") return;
    if (storage.kind === "overlay" && !storage.kept) return;
    const { path = "", overlay = path } = this.#config;
    await syncFile(storage.fd, overlay);
  }

  attend(loop: IoLoop): void {
    const { serial, limit, engine } = this.#config;
    this.#requests = new DiskRequests(
      this.#context,
      this.#state,
      { readOnly: this.#disk.readOnly, serial: serial ?? this.#context.name, limit },
      backendOf(this.#disk, engine ?? "io_uring", () => this.#context.monotonic()),
      loop,
    );
  }

  kept(): undefined {
    this.#requests!.settle();
  }

  notified(queue: number): void {
    this.#requests!.serve(queue);
  }

  inFlight(): number {
    return this.#state.in_flight;
  }

  cancel(): void {
    this.#requests!.cancel();
  }

  close(): void {
    this.#requests?.close();
  }

  action(name: string, value?: string): boolean {
    switch (name) {
      case "resize":
        this.#resize(value);
        return true;
      case "lend":
        this.#lend();
        return true;
      case "yield":
        this.#yield();
        return true;
      case "reclaim":
        this.#reclaim();
        return true;
      default:
        return false;
    }
  }

  readonly gauges: readonly string[] = ["capacity", "in_flight"];

  stats(): Readonly<Record<string, number>> {
    const { capacity, writeback: _, ...counters } = this.#state.toJSON() as Record<string, number>;
    return { capacity: capacity! * SECTOR, ...counters };
  }

  /** Lets others have the image as the base of their overlays, while this VM stands. */
  #lend(): void {
    const { storage, readOnly } = this.#disk;
    if (readOnly) return;
    if (storage.kind !== "file") {
      const what = storage.kind === "overlay" ? "with an overlay" : "of a server";
      throw new VmError(`${this.#context.name}: a disk ${what} can't be shared with forks`, {
        hint: "give the VM an image of its own, and the forks have overlays",
      });
    }
    lockDiskFile(storage.fd, false, this.#config.path!);
  }

  /** Lets another VM have what this one writes, which is to go on in its place. */
  #yield(): void {
    const { storage, readOnly } = this.#disk;
    if (readOnly || storage.kind === "nbd") return;
    if (storage.kind === "overlay" && !storage.kept) {
      throw new VmError(`${this.#context.name}: a temporary overlay can't be moved`, {
        hint: "`hvsh disk --overlay FILE` keeps what is written",
      });
    }
    unlockDiskFile(storage.fd);
  }

  /** Takes back what it writes. */
  #reclaim(): void {
    const { storage, readOnly } = this.#disk;
    if (readOnly || storage.kind === "nbd") return;
    const path = storage.kind === "overlay" ? this.#config.overlay! : this.#config.path!;
    if (lockDiskFile(storage.fd, true, path)) return;
    throw new VmError(`${this.#context.name}: others still use ${path}, such as forks of the VM`, {
      hint: "the VM can go on once they have ended",
    });
  }

  /** Gives the image a size, or looks how large it is by now, and tells the driver. */
  #resize(value: string | undefined): void {
    const { storage, readOnly } = this.#disk;
    const { name } = this.#context;
    if (storage.kind !== "file") {
      throw new VmError(`${name}: only a disk in a file, or on a block device, changes its size`);
    }
    const path = this.#config.path!;
    const { kind } = diskFileStatus(storage.fd, path);
    if (value !== undefined) {
      if (readOnly) throw new VmError(`${name}: the disk is read-only`);
      if (kind === "block") {
        throw new VmError(`${name}: ${path} is a block device, whose size is its own`, {
          hint: "give no size after changing it: the guest is told the new one",
        });
      }
      const size = parseDeviceSize(name, value);
      if (size < SECTOR) throw new VmError(`${name}: ${size} bytes are too few for a disk`);
      check(libc.ftruncate(storage.fd, BigInt(size)), "ftruncate", { path });
    }
    const sectors = Math.floor(diskFileStatus(storage.fd, path).size / SECTOR);
    if (sectors === 0) throw new VmError(`${name}: ${path} is too small for a disk by now`);
    if (sectors === this.#state.capacity) return;
    this.#state.capacity = sectors;
    this.#context.configChanged();
  }
}

/**
 * SIZE_MAX is not among them: a segment may be as long as its request. FreeBSD's driver, since 13,
 * takes no disk whose segments are to be shorter than what it transfers at once (1 MiB).
 */
function featuresOf(disk: OpenedDisk): readonly number[] {
  const f = BlkFeature;
  return [
    ...[f.SEG_MAX, f.BLK_SIZE, f.TOPOLOGY, f.MQ],
    ...(disk.readOnly ? [f.RO] : [f.FLUSH, f.CONFIG_WCE]),
    ...(disk.discard ? [f.DISCARD] : []),
    ...(disk.writeZeroes ? [f.WRITE_ZEROES] : []),
  ];
}

/** The disk. */
export const disk: VirtioDeviceType<DiskConfig> = {
  type: "disk",
  virtio: 2,
  pciClass: 0x01_0000, // mass storage, SCSI: what a guest without a name for it takes for a disk
  state: DiskState,
  schema,
  queues: (config) => new Array(config.queues ?? 1).fill(QUEUE_SIZE),
  async prepare(config, { arriving }) {
    await using opened = new AsyncDisposableStack();
    const files = opened.use(new DisposableStack());
    const disk = await openDisk(config, files, arriving === true);
    const kept = opened.move();
    return {
      config: { ...config, opened: disk },
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    };
  },
  open: (config, context) => new Disk(config, context),
};
