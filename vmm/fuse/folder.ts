/**
 * A folder of the host as a FUSE filesystem, served in this process.
 *
 * No request leads out of the folder: a name is one component, never `..`; each step is taken from the
 * descriptor of the folder above, and no symbolic link is followed: the client is told its text and
 * resolves it on its own side. A descriptor is opened to be read or written only once it is known to
 * be a plain file or a folder, so that devices and FIFOs are left to the client's kernel. Pseudo
 * filesystems that are mounted below (`/proc`, `/sys`) show as empty: they would give away the
 * server's own memory.
 *
 * A folder that somebody on the host moves out while the client has it open stays open, with what is
 * in it, as for any process that had it as its working directory.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import {
  changeMode,
  DescriptorLinks,
  openBeneath,
  statDescriptor,
  statFilesystem,
  syncFilesystem,
} from "../../ffi/file_at.ts";
import { O, S, statfs, statx } from "../../ffi/file_structs.ts";
import { HostError } from "../../ffi/errors.ts";
import { libc } from "../../ffi/libc.ts";
import { DeviceTable } from "./device_table.ts";
import { directoryOperations } from "./folder_directories.ts";
import { fileOperations } from "./folder_files.ts";
import { attributeOperations, type Owners, PERMISSIONS } from "./folder_attributes.ts";
import { nameOperations } from "./folder_names.ts";
import { type FileHandle, HandleTable } from "./handle_table.ts";
import { initOperation } from "./init.ts";
import { InodeFiles } from "./inode_files.ts";
import { type Inode, InodeTable } from "./inode_table.ts";
import { fuse_batch_forget_in, fuse_forget_in, fuse_forget_one } from "./messages.ts";
import { Fopen, InitFlag, NOFLUSH_MINOR_VERSION, Opcode } from "./protocol.ts";
import { ARGUMENTS, type FuseRequest, type Operation } from "./request.ts";
import type { Operations } from "./server.ts";

/** How long a client may believe what it was told. */
export type Cache =
  /** Not at all; data is not kept either. */
  | "none"
  /** For a second; data until the file is opened again and has changed. */
  | "auto"
  /** As long as it likes: nobody else changes the folder. */
  | "always";

/** How a folder is served. */
export interface FolderOptions {
  /** Descriptor of the folder, O_PATH or not; stays the caller's. */
  readonly fd: number;
  /** A descriptor of `/proc/self/fd`; stays the caller's. */
  readonly links: number;
  /** Whether the client can change nothing. */
  readonly readonly: boolean;
  /** How long the client may believe what it was told. */
  readonly cache: Cache;
  /** What all files' owner is to the client; by default the host user's files are root's. */
  readonly uid?: number | undefined;
  /** What all files' group is to the client, the same. */
  readonly gid?: number | undefined;
  /** Descriptors that are kept open for nodes, at most. */
  readonly mostDescriptors: number;
  /** Files that the client may have open. */
  readonly mostHandles: number;
  /** Nodes that the client may know. */
  readonly mostInodes: number;
}

/** Bytes of data in one READ or WRITE. */
export const MOST_DATA = 1 << 20;
const MOST_BACKGROUND = 64;
const SECONDS = { none: 0, auto: 1, always: 86400 } as const;
/** BATCH_FORGET's entries; more than a client has room for in one message. */
const MOST_FORGETS = 65536;
/** Filesystems that show the kernel, not files (linux/magic.h). */
const PSEUDO: ReadonlySet<number> = new Set([
  0x9fa0, // PROC_SUPER_MAGIC
  0x62656572, // SYSFS_MAGIC
  0x64626720, // DEBUGFS_MAGIC
  0x74726163, // TRACEFS_MAGIC
  0x73636673, // SECURITYFS_MAGIC
  0xf97cff8c, // SELINUX_MAGIC
  0x43415d53, // SMACK_MAGIC
  0x6165676c, // PSTOREFS_MAGIC
  0xde5e81e4, // EFIVARFS_MAGIC
  0x27e0eb, // CGROUP_SUPER_MAGIC
  0x63677270, // CGROUP2_SUPER_MAGIC
  0x42494e4d, // BINFMTFS_MAGIC
  0x6c6f6f70, // BINDERFS_SUPER_MAGIC
  0x6e736673, // NSFS_MAGIC
  0xcafe4a11, // BPF_FS_MAGIC
  0x62656570, // CONFIGFS_MAGIC
]);

/** A shared folder: what the operations work on. */
export class Folder implements Disposable {
  /** Whether the client can change nothing. */
  readonly readonly: boolean;
  /** Who owns the files. */
  readonly owners: Owners;
  /** How long names and attributes are valid. */
  readonly seconds: number;
  /** The filesystems that it goes over. */
  readonly devices: DeviceTable;
  /** Its nodes. */
  readonly inodes: InodeTable;
  /** Their descriptors. */
  readonly files: InodeFiles;
  /** What the client has open. */
  readonly handles: HandleTable;
  /** From a descriptor to another of the same file. */
  readonly links: DescriptorLinks;
  /** The `struct statx` that was looked at last. */
  readonly stat = new DataView(new ArrayBuffer(statx.size));
  /** Bytes that were read from files. */
  bytesRead = 0;
  /** Bytes that were written to files. */
  bytesWritten = 0;
  readonly #cache: Cache;
  readonly #filesystem = new statfs();
  #openFlags: number;
  #flush = true;

  /**
   * @param options How it is served
   * @throws {HostError} If it cannot be looked at
   */
  constructor(options: FolderOptions) {
    this.readonly = options.readonly;
    this.seconds = SECONDS[options.cache];
    this.owners = {
      ownUid: libc.geteuid(),
      ownGid: libc.getegid(),
      uid: options.uid,
      gid: options.gid,
    };
    this.links = new DescriptorLinks(options.links);
    this.files = new InodeFiles(this.links, options.mostDescriptors);
    this.handles = new HandleTable(options.mostHandles);
    const failed = statDescriptor(options.fd, this.stat);
    if (failed < 0) throw new HostError("statx", -failed);
    this.inodes = new InodeTable(
      this.stat,
      options.mostInodes,
      (inode) => this.files.close(inode),
    );
    this.inodes.root.fd = options.fd;
    this.devices = new DeviceTable(this.inodes.root.device);
    this.#cache = options.cache;
    this.#openFlags = this.#flagsFor(0);
  }

  /**
   * What to say about caching when a file or folder is opened.
   *
   * @param directory Whether it is a folder
   */
  openFlags(directory: boolean): number {
    if (!directory) return this.#openFlags;
    return this.#cache === "always" ? Fopen.KEEP_CACHE | Fopen.CACHE_DIR : 0;
  }

  /**
   * An operation that changes the folder; one that refuses if it is not to be changed.
   *
   * @param operation The operation
   */
  writing(operation: Operation): Operation {
    return this.readonly ? { args: 0, run: () => -Errno.EROFS } : operation;
  }

  /**
   * Looks a file up that was just found in a folder, its `struct statx` in {@linkcode stat}; the client
   * then knows it once more.
   *
   * @param parent The folder
   * @param name Its name there, a C string
   * @returns The node; undefined if there are too many
   */
  know(parent: Inode, name: Uint8Array): Inode | undefined {
    const inode = this.inodes.add(this.stat, parent, name);
    if (inode === undefined) return undefined;
    if (inode.lookups++ === 0 && !parent.onDevice(this.stat)) inode.hollow = this.#isPseudo(inode);
    return inode;
  }

  /**
   * Knows a file again that was known before, its `struct statx` in {@linkcode stat}.
   *
   * @param nodeid Its name in the protocol
   * @param parent The folder that it is in
   * @param name Its name there, a character for each byte
   * @param lookups How often the client knows it
   */
  knowAgain(nodeid: number, parent: Inode, name: string, lookups: number): void {
    const inode = this.inodes.addAgain(nodeid, this.stat, parent, name);
    if (inode === undefined) return;
    inode.lookups = lookups;
    if (!parent.onDevice(this.stat)) inode.hollow = this.#isPseudo(inode);
  }

  /** Whether the client is to say when it closes a file: those from before NOFLUSH always do. */
  get flush(): boolean {
    return this.#flush;
  }
  set flush(flush: boolean) {
    this.#flush = flush;
    this.#openFlags = this.#flagsFor(flush ? 0 : NOFLUSH_MINOR_VERSION);
  }

  /** Looks at an open file; gives 0 or a negated errno. */
  statOpen(handle: FileHandle): number {
    return statDescriptor(handle.fd, this.stat);
  }

  /**
   * Takes set-user-ID and set-group-ID from a file that is about to be changed, as the kernel does
   * for whoever has no privileges; the server may have them.
   *
   * @param handle The file, open
   */
  dropSetid(handle: FileHandle): void {
    if (!handle.setid) return;
    handle.setid = false;
    if (this.statOpen(handle) < 0) return;
    changeMode(handle.fd, this.stat.getUint16(statx.offsets.stx_mode, true) & PERMISSIONS);
  }

  /** The same for a file that is not open; gives 0 or a negated errno. */
  dropSetidOf(inode: Inode, stat: DataView): number {
    if (!hasSetid(inode, stat)) return 0;
    const fd = this.files.descriptor(inode);
    if (fd < 0) return fd;
    return this.links.chmod(fd, stat.getUint16(statx.offsets.stx_mode, true) & PERMISSIONS);
  }

  /** Closes and forgets all that the client knows. */
  clear(): void {
    this.handles.clear();
    this.inodes.clear();
  }

  /** All operations, for a server whose request is given. */
  operations(request: FuseRequest): Operations {
    return {
      ...attributeOperations(this, request),
      ...nameOperations(this, request),
      ...fileOperations(this, request),
      ...directoryOperations(this, request),
      ...this.#sessionOperations(request),
    };
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #sessionOperations(request: FuseRequest): Operations {
    const forget = new fuse_forget_in(request.view, ARGUMENTS);
    return {
      [Opcode.INIT]: initOperation(request, {
        flags: this.#wishes(),
        maxWrite: MOST_DATA,
        maxBackground: MOST_BACKGROUND,
        agreed: (minor) => {
          this.clear(); // the mount before this one is gone
          this.flush = minor < NOFLUSH_MINOR_VERSION;
        },
      }),
      [Opcode.DESTROY]: {
        args: 0,
        run: () => {
          this.clear();
          return 0;
        },
      },
      [Opcode.FORGET]: {
        args: fuse_forget_in.size,
        replies: false,
        run: () => {
          this.inodes.forget(request.nodeid, forget.nlookup);
          return 0;
        },
      },
      [Opcode.BATCH_FORGET]: {
        args: fuse_batch_forget_in.size,
        replies: false,
        run: () => this.#forgetMany(request),
      },
      // What it would interrupt was answered before it came.
      [Opcode.INTERRUPT]: { args: 0, replies: false, run: () => 0 },
      [Opcode.SYNCFS]: { args: 0, run: () => this.#sync() },
    };
  }

  #wishes(): number {
    return InitFlag.ASYNC_READ | InitFlag.ATOMIC_O_TRUNC | InitFlag.DO_READDIRPLUS |
      InitFlag.READDIRPLUS_AUTO | InitFlag.ASYNC_DIO | InitFlag.PARALLEL_DIROPS |
      (this.#cache === "none" ? 0 : InitFlag.AUTO_INVAL_DATA) |
      (this.#cache === "always" ? InitFlag.CACHE_SYMLINKS : 0);
  }

  /** Without a cache to write back later, there is nothing to flush when a file is closed. */
  #flagsFor(minor: number): number {
    return (minor >= NOFLUSH_MINOR_VERSION ? Fopen.NOFLUSH : 0) |
      (this.#cache === "none" ? Fopen.DIRECT_IO : 0) |
      (this.#cache === "always" ? Fopen.KEEP_CACHE : 0);
  }

  #forgetMany(request: FuseRequest): number {
    const { count } = new fuse_batch_forget_in(request.view, ARGUMENTS);
    const start = ARGUMENTS + fuse_batch_forget_in.size;
    const there = Math.floor((request.length - start) / fuse_forget_one.size);
    const bytes = new Uint8Array(Math.min(count, there, MOST_FORGETS) * fuse_forget_one.size);
    request.message.read(start, bytes);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += fuse_forget_one.size) {
      const one = new fuse_forget_one(view, at);
      this.inodes.forget(one.nodeid, one.nlookup);
    }
    return 0;
  }

  #sync(): number {
    if (this.readonly) return 0;
    const fd = openBeneath(this.inodes.root.fd, DOT, O.O_RDONLY | O.O_DIRECTORY);
    if (fd < 0) return fd;
    const result = syncFilesystem(fd);
    libc.close(fd);
    return result;
  }

  #isPseudo(inode: Inode): boolean {
    const fd = this.files.descriptor(inode);
    const { view } = this.#filesystem;
    if (fd < 0 || statFilesystem(fd, view as DataView<ArrayBuffer>) < 0) return true;
    return PSEUDO.has(view.getUint32(statfs.offsets.f_type, true));
  }
}

/** A folder's own name in itself. */
export const DOT: Uint8Array<ArrayBuffer> = Uint8Array.of(0x2e, 0);

/** Whether a plain file has set-user-ID or set-group-ID. */
export function hasSetid(inode: Inode, stat: DataView): boolean {
  return inode.type === S.S_IFREG &&
    (stat.getUint16(statx.offsets.stx_mode, true) & (S.S_ISUID | S.S_ISGID)) !== 0;
}
