/**
 * Opening what a disk's entry in the document names: all that can fail does so here, before the VM
 * runs.
 *
 * @module
 */
import {
  type DiskFileStatus,
  diskFileStatus,
  DiskOpenFlag,
  lockDiskFile,
} from "../../../ffi/disk_file.ts";
import { Errno } from "../../../ffi/errno.ts";
import { DocumentError, HostError, VmError } from "../../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../../ffi/files.ts";
import { check, libc } from "../../../ffi/libc.ts";
import { openNameless } from "../../../ffi/nameless_file.ts";
import { ignoreFileSizeSignal } from "../../../ffi/signals.ts";
import { connectUnixSocket } from "../../../ffi/unix_socket.ts";
import type { OpenBackend } from "./backend.ts";
import { FileDisk, type OpenedFile } from "./file_disk.ts";
import type { DiskEngine } from "./kernel_io.ts";
import { NbdDisk, type OpenedNbd } from "./nbd_disk.ts";
import { negotiateNbd } from "./nbd_protocol.ts";
import { parseNbdAddress } from "./nbd_address.ts";
import { type OpenedOverlay, OverlayDisk } from "./overlay_disk.ts";
import {
  checkOverlayHeader,
  type OverlayBase,
  overlayBytes,
  writeOverlayHeader,
} from "./overlay_format.ts";

/** Where a disk's contents are. */
export interface DiskSource {
  /** An image or a block device. */
  readonly path?: string | undefined;
  /** In its place: an NBD server, `unix:/path` or `nbd+unix:///EXPORT?socket=/path`. */
  readonly nbd?: string | undefined;
  /** The server's export, unless the address names it. */
  readonly export?: string | undefined;
  /** For how many seconds the server may say nothing while it is asked. */
  readonly timeout?: number | undefined;
  /** Nothing is written, and others may read the image too. */
  readonly readonly?: boolean | undefined;
  /** Where what is written goes, the image itself staying as it is; `temporary`: away at the end. */
  readonly overlay?: string | undefined;
  /** `none` goes around the host's page cache (O_DIRECT). */
  readonly cache?: "writeback" | "none" | undefined;
}

/** A disk's contents, opened: plain data, for every thread. */
export interface OpenedDisk {
  readonly storage: OpenedFile | OpenedOverlay | OpenedNbd;
  /** Bytes, as it was opened. */
  readonly size: number;
  readonly readOnly: boolean;
  /** Whether it takes discards and writes of zeros. */
  readonly discard: boolean;
  readonly writeZeroes: boolean;
  /** Bytes of a logical block. */
  readonly blockSize: number;
  /** Bytes that it is best read and written in, a multiple of the block. */
  readonly physicalSize: number;
}

const F_SETFL = 4;
const NBD_TIMEOUT_SECONDS = 30;
const SECTOR = 512;

/**
 * Opens a disk's contents.
 *
 * @param source What the document says
 * @param opened Where what was opened is noted, to be closed
 * @param arriving Whether what this VM will write is another's for now; it is locked later
 * @returns The disk
 * @throws {HvshError} Naming the key or the path at fault
 */
export async function openDisk(
  source: DiskSource,
  opened: DisposableStack,
  arriving = false,
): Promise<OpenedDisk> {
  ignoreFileSizeSignal();
  if (source.nbd !== undefined) return await openNbd(source, source.nbd, opened);
  if (source.path === undefined) {
    throw new DocumentError("A disk needs a path, or nbd", { hint: "hvsh disk root.img" });
  }
  return source.overlay === undefined
    ? openImage(source, source.path, opened, arriving)
    : openOverlay(source, source.path, source.overlay, opened, arriving);
}

/**
 * Says how a thread opens the backend of a disk.
 *
 * @param disk The disk
 * @param engine How to call the kernel
 * @param now Milliseconds on the monotonic clock
 */
export function backendOf(disk: OpenedDisk, engine: DiskEngine, now: () => number): OpenBackend {
  const { storage } = disk;
  switch (storage.kind) {
    case "file":
      return (loop, iovecs, client) => new FileDisk(storage, engine, loop, iovecs, client);
    case "overlay":
      return (loop, iovecs, client) => new OverlayDisk(storage, engine, loop, iovecs, client);
    case "nbd":
      return (loop, iovecs, client) => new NbdDisk(storage, loop, iovecs, client, now);
  }
}

async function openNbd(
  source: DiskSource,
  address: string,
  opened: DisposableStack,
): Promise<OpenedDisk> {
  for (const key of ["path", "overlay", "cache"] as const) {
    if (source[key] === undefined) continue;
    throw new DocumentError(`${key}: a disk on an NBD server has none`, {
      ...(key === "overlay" ? { hint: "qemu-nbd --snapshot, or nbdkit --filter=cow" } : {}),
    });
  }
  const { path, name } = parseNbdAddress(address);
  const timeout = source.timeout ?? NBD_TIMEOUT_SECONDS;
  const fd = connectUnixSocket(path);
  opened.defer(() => closeFile(fd));
  const server = await negotiateNbd(fd, source.export ?? name, `nbd: ${path}`, timeout);
  const { blockSize } = server;
  if (blockSize > 65536 || (blockSize & (blockSize - 1)) !== 0 || server.most < blockSize) {
    throw new VmError(`nbd: ${path}: blocks of ${blockSize} bytes are none for a disk`);
  }
  if (server.readOnly && source.readonly === false) {
    throw new DocumentError(`readonly: the export at ${path} is read-only`);
  }
  const readOnly = source.readonly === true || server.readOnly;
  const block = Math.max(blockSize, SECTOR);
  return {
    storage: { kind: "nbd", fd, timeout, ...server },
    size: server.size,
    readOnly,
    discard: !readOnly && server.trim,
    writeZeroes: !readOnly && server.writeZeroes,
    blockSize: block,
    physicalSize: Math.max(block, 4096),
  };
}

function openImage(
  source: DiskSource,
  path: string,
  opened: DisposableStack,
  arriving: boolean,
): OpenedDisk {
  const readOnly = source.readonly === true;
  const { fd, status } = openLocked(path, readOnly ? "read" : "write", opened, arriving);
  let storage: OpenedFile = { kind: "file", fd };
  if (source.cache === "none") {
    const direct = openDirect(fd, path, readOnly);
    opened.defer(() => closeFile(direct));
    storage = { ...storage, direct: { fd: direct, ...status.directAlignment } };
  }
  return {
    storage,
    size: status.size,
    readOnly,
    discard: !readOnly,
    writeZeroes: !readOnly,
    blockSize: status.blockSize,
    physicalSize: physicalSize(status),
  };
}

/** Some file systems prefer sizes that no disk has. */
function physicalSize({ blockSize, preferredSize }: DiskFileStatus): number {
  const power = (preferredSize & (preferredSize - 1)) === 0 && preferredSize <= 65536;
  return Math.max(blockSize, power ? preferredSize : 4096);
}

function openOverlay(
  source: DiskSource,
  path: string,
  overlay: string,
  opened: DisposableStack,
  arriving: boolean,
): OpenedDisk {
  if (source.readonly === true) {
    throw new DocumentError("overlay: a read-only disk needs none", {
      hint: "leave out readonly, the base is never written",
    });
  }
  if (source.cache === "none") {
    throw new DocumentError('cache: an overlay has "writeback" only');
  }
  const { fd: base, status } = openLocked(path, "read", opened);
  const modified = status.kind === "block" ? 0n : status.modified;
  const fd = overlay === "temporary"
    ? openTemporary(opened)
    : openKept(overlay, { path, size: status.size, modified }, opened, arriving);
  const whole = overlayBytes(status.size);
  if (diskFileStatus(fd, overlay).size < whole) {
    check(libc.ftruncate(fd, BigInt(whole)), "ftruncate", { path: overlay });
  }
  return {
    storage: { kind: "overlay", fd, base, size: status.size, kept: overlay !== "temporary" },
    size: status.size,
    readOnly: false,
    discard: true,
    writeZeroes: true,
    blockSize: SECTOR,
    physicalSize: 4096,
  };
}

/** A file without a name, gone with its descriptor. */
function openTemporary(opened: DisposableStack): number {
  const folder = Deno.env.get("TMPDIR") ?? "/var/tmp";
  const fd = openIn(folder);
  opened.defer(() => closeFile(fd));
  return fd;
}

function openIn(folder: string): number {
  const fd = openNameless(folder, { hint: "TMPDIR names the folder of temporary overlays" });
  if (fd !== undefined) return fd;
  const path = Deno.makeTempFileSync({ dir: folder, prefix: "hvsh-overlay-" });
  try {
    return openFile(path, OpenFlag.RDWR);
  } finally {
    Deno.removeSync(path);
  }
}

function openKept(
  path: string,
  base: OverlayBase,
  opened: DisposableStack,
  arriving: boolean,
): number {
  const made = arriving ? 0 : OpenFlag.CREAT; // without what is in it, it is of no use to a guest that ran
  const fd = openFile(path, OpenFlag.RDWR | made | OpenFlag.NONBLOCK | OpenFlag.NOCTTY);
  opened.defer(() => closeFile(fd));
  const { kind, size } = diskFileStatus(fd, path);
  if (kind !== "file") throw new DocumentError(`overlay: ${path} is no plain file`);
  waitForIo(fd);
  if (!arriving) lock(fd, path, true, "each VM needs an overlay of its own");
  if (size === 0 && !arriving) {
    writeOverlayHeader(fd, path, base);
    check(libc.fdatasync(fd), "fdatasync", { path });
  } else {
    checkOverlayHeader(fd, path, base);
  }
  return fd;
}

function openLocked(
  path: string,
  use: "read" | "write",
  opened: DisposableStack,
  arriving = false,
): { fd: number; status: DiskFileStatus } {
  // Opening a FIFO would wait for somebody at its other end.
  const flags = (use === "read" ? OpenFlag.RDONLY : OpenFlag.RDWR) | OpenFlag.NONBLOCK |
    OpenFlag.NOCTTY;
  const fd = openOrAdvise(path, flags);
  opened.defer(() => closeFile(fd));
  const status = diskFileStatus(fd, path);
  if (status.kind === "other") {
    throw new DocumentError(`path: ${path} is neither a file nor a block device`);
  }
  if (status.size < SECTOR) {
    throw new DocumentError(`path: ${path} is too small for a disk: ${status.size} bytes`, {
      hint: `truncate -s 1G ${path} gives an empty disk of 1 GiB`,
    });
  }
  waitForIo(fd);
  if (use === "read" || !arriving) {
    lock(fd, path, use === "write", "--readonly, or an overlay for each VM, lets several use it");
  }
  return { fd, status };
}

function openOrAdvise(path: string, flags: number): number {
  try {
    return openFile(path, flags);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const written = (flags & OpenFlag.RDWR) !== 0;
    const denied = error.errno === Errno.EACCES || error.errno === Errno.EROFS;
    if (!written || !denied) throw error;
    throw new HostError("open", error.errno, {
      path,
      hint: "--readonly, or --overlay temporary, needs no permission to write it",
      cause: error,
    });
  }
}

/** Another opening of the same file, whatever its path names by now. */
function openDirect(fd: number, path: string, readOnly: boolean): number {
  const flags = (readOnly ? OpenFlag.RDONLY : OpenFlag.RDWR) | DiskOpenFlag.DIRECT;
  try {
    return openFile(`/proc/self/fd/${fd}`, flags);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    throw new HostError("open", error.errno, {
      path,
      hint: 'its file system has no O_DIRECT: leave out cache "none" (--direct)',
      cause: error,
    });
  }
}

function waitForIo(fd: number): void {
  check(libc.fcntl(fd, F_SETFL, 0), "fcntl");
}

function lock(fd: number, path: string, exclusive: boolean, hint: string): void {
  if (lockDiskFile(fd, exclusive, path)) return;
  throw new VmError(`${path} is in use by another program, such as another VM`, { hint });
}
