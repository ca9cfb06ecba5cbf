/**
 * The nodes that a FUSE client knows of a host folder: which file each is, how it is called, and how
 * often the client has looked it up. A node lives until the client forgets it.
 *
 * @module
 */
import { S, statx, STATX_BTIME } from "../../ffi/file_structs.ts";
import { deviceOf } from "./device_table.ts";
import type { FileHandle } from "./handle_table.ts";
import { ROOT_ID } from "./protocol.ts";

const F = statx.offsets;
const BTIME_NSEC = 8;
/** The byte at a C string's end. */
const NUL = 1;

/** A file of the host that the client knows. */
export class Inode {
  /** Its name in the protocol; never used again for another file. */
  readonly nodeid: number;
  /** The folder in which it was seen last; undefined for the root. */
  parent: Inode | undefined;
  /** Its name there, a character for each byte. */
  name: string;
  /** Its type, a value of S_IFMT's bits. */
  readonly type: number;
  /** Lookups that the client has not forgotten. */
  lookups = 0;
  /** Nodes whose {@linkcode parent} it is. */
  children = 0;
  /** An O_PATH descriptor of it, or -1. */
  fd = -1;
  /** A pseudo-filesystem lies there, which is not served: an empty folder, a file that can't be opened. */
  hollow = false;
  /** Its open files, a list. */
  handle: FileHandle | undefined;
  /** Those whose descriptors were used before and after it. */
  older: Inode | undefined;
  /** See {@linkcode older}. */
  newer: Inode | undefined;
  /** The next node whose file's number has the same hash. */
  next: Inode | undefined;
  /** The filesystem that it is on. */
  readonly device: number;
  readonly #inoLow: number;
  readonly #inoHigh: number;
  readonly #born: number;
  readonly #bornNsec: number;

  /**
   * @param nodeid Its name in the protocol
   * @param stat The file's `struct statx`
   * @param parent The folder that it is in
   * @param name Its name there
   */
  constructor(nodeid: number, stat: DataView, parent: Inode | undefined, name: string) {
    this.nodeid = nodeid;
    this.parent = parent;
    this.name = name;
    this.type = stat.getUint16(F.stx_mode, true) & S.S_IFMT;
    this.#inoLow = stat.getUint32(F.stx_ino, true);
    this.#inoHigh = stat.getUint32(F.stx_ino + 4, true);
    this.device = deviceOf(stat);
    this.#born = bornAt(stat);
    this.#bornNsec = bornNsec(stat);
  }

  /**
   * Whether a file is this one. Its number alone does not say: that of a removed file is given to the
   * next, which has another time of birth.
   *
   * @param stat The file's `struct statx`
   */
  is(stat: DataView): boolean {
    return stat.getUint32(F.stx_ino, true) === this.#inoLow &&
      stat.getUint32(F.stx_ino + 4, true) === this.#inoHigh && this.onDevice(stat) &&
      (stat.getUint16(F.stx_mode, true) & S.S_IFMT) === this.type &&
      bornAt(stat) === this.#born && bornNsec(stat) === this.#bornNsec;
  }

  /** Whether a file is on the same filesystem. */
  onDevice(stat: DataView): boolean {
    return deviceOf(stat) === this.device;
  }

  /** What {@linkcode InodeTable} finds it by. */
  get hash(): number {
    return this.#inoLow ^ this.#born ^ this.#bornNsec;
  }
}

function hashOf(stat: DataView): number {
  return stat.getUint32(F.stx_ino, true) ^ bornAt(stat) ^ bornNsec(stat);
}

function bornAt(stat: DataView): number {
  if ((stat.getUint32(F.stx_mask, true) & STATX_BTIME) === 0) return 0;
  return stat.getUint32(F.stx_btime, true);
}

function bornNsec(stat: DataView): number {
  if ((stat.getUint32(F.stx_mask, true) & STATX_BTIME) === 0) return 0;
  return stat.getUint32(F.stx_btime + BTIME_NSEC, true);
}

/** All nodes of a folder. */
export class InodeTable {
  /** The shared folder itself. */
  readonly root: Inode;
  readonly #nodes = new Map<number, Inode>();
  readonly #files = new Map<number, Inode>();
  readonly #most: number;
  readonly #dropped: (inode: Inode) => void;
  #lastId = ROOT_ID;

  /**
   * @param stat The shared folder's `struct statx`
   * @param most How many nodes at most
   * @param dropped Called with a node that is gone, to close what it has open
   */
  constructor(stat: DataView, most: number, dropped: (inode: Inode) => void) {
    this.root = new Inode(ROOT_ID, stat, undefined, "");
    this.root.lookups = 1;
    this.#most = most;
    this.#dropped = dropped;
    this.#insert(this.root);
  }

  /** How many nodes there are, the root among them. */
  get size(): number {
    return this.#nodes.size;
  }

  /**
   * A node by its name in the protocol.
   *
   * @param nodeid Any number
   */
  get(nodeid: number): Inode | undefined {
    return this.#nodes.get(nodeid);
  }

  /**
   * The node of a file, if there is one.
   *
   * @param stat The file's `struct statx`
   */
  find(stat: DataView): Inode | undefined {
    let inode = this.#files.get(hashOf(stat));
    while (inode !== undefined && !inode.is(stat)) inode = inode.next;
    return inode;
  }

  /**
   * The node of a file that was seen in a folder under a name, a new one if there is none yet.
   *
   * @param stat The file's `struct statx`
   * @param parent The folder
   * @param name Its name there, a C string
   * @returns The node; undefined if there are as many as there may be
   */
  add(stat: DataView, parent: Inode, name: Uint8Array): Inode | undefined {
    const known = this.find(stat);
    if (known !== undefined) {
      this.place(known, parent, name);
      return known;
    }
    if (this.#nodes.size >= this.#most) return undefined;
    const inode = new Inode(++this.#lastId, stat, parent, textOf(name));
    parent.children++;
    this.#insert(inode);
    return inode;
  }

  /** All nodes, the root among them. */
  all(): IterableIterator<Inode> {
    return this.#nodes.values();
  }

  /**
   * Adds a node that was known before under a name in the protocol.
   *
   * @param nodeid That name
   * @param stat The file's `struct statx`
   * @param parent The folder
   * @param name Its name there, a character for each byte
   * @returns The node; undefined if there is one of that file or that name, or too many
   */
  addAgain(nodeid: number, stat: DataView, parent: Inode, name: string): Inode | undefined {
    if (this.#nodes.has(nodeid) || nodeid <= ROOT_ID || this.#nodes.size >= this.#most) return;
    if (this.find(stat) !== undefined) return undefined;
    const inode = new Inode(nodeid, stat, parent, name);
    this.#lastId = Math.max(this.#lastId, nodeid);
    parent.children++;
    this.#insert(inode);
    return inode;
  }

  /** Drops the nodes that nobody knows, and that nothing is in. */
  releaseUnused(): void {
    for (const inode of [...this.#nodes.values()]) this.#dropUnused(inode);
  }

  /**
   * Notes where a node is now.
   *
   * @param inode The node
   * @param parent The folder
   * @param name Its name there, a C string
   */
  place(inode: Inode, parent: Inode, name: Uint8Array): void {
    if (inode === this.root) return;
    if (!sameName(inode.name, name)) inode.name = textOf(name);
    const before = inode.parent;
    if (before === parent || inode === parent) return;
    parent.children++;
    inode.parent = parent;
    if (before !== undefined) {
      before.children--;
      this.#dropUnused(before);
    }
  }

  /**
   * Takes lookups back.
   *
   * @param nodeid Any number
   * @param count How many; more than there are is all of them
   */
  forget(nodeid: number, count: number): void {
    const inode = this.#nodes.get(nodeid);
    if (inode === undefined || inode === this.root) return;
    inode.lookups = Math.max(0, inode.lookups - count);
    this.#dropUnused(inode);
  }

  /**
   * Drops a node that nobody knows, and those above that were kept for its sake.
   *
   * @param inode The node
   */
  release(inode: Inode): void {
    this.#dropUnused(inode);
  }

  /** Forgets all nodes but the root. */
  clear(): void {
    for (const inode of this.#nodes.values()) if (inode !== this.root) this.#dropped(inode);
    this.#nodes.clear();
    this.#files.clear();
    this.root.children = 0;
    this.root.handle = undefined;
    this.root.next = undefined;
    this.#insert(this.root);
  }

  #insert(inode: Inode): void {
    this.#nodes.set(inode.nodeid, inode);
    inode.next = this.#files.get(inode.hash);
    this.#files.set(inode.hash, inode);
  }

  #dropUnused(start: Inode): void {
    let inode: Inode | undefined = start;
    while (
      inode !== undefined && inode !== this.root && inode.lookups === 0 && inode.children === 0 &&
      inode.handle === undefined
    ) {
      this.#nodes.delete(inode.nodeid);
      this.#unhash(inode);
      this.#dropped(inode);
      const above: Inode | undefined = inode.parent;
      inode.parent = undefined;
      if (above !== undefined) above.children--;
      inode = above;
    }
  }

  #unhash(inode: Inode): void {
    const first = this.#files.get(inode.hash);
    if (first === inode) {
      if (inode.next === undefined) this.#files.delete(inode.hash);
      else this.#files.set(inode.hash, inode.next);
    } else {
      let before = first!;
      while (before.next !== inode) before = before.next!;
      before.next = inode.next;
    }
    inode.next = undefined;
  }
}

function sameName(text: string, name: Uint8Array): boolean {
  if (text.length !== name.length - NUL) return false;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== name[i]) return false;
  return true;
}

function textOf(name: Uint8Array): string {
  return String.fromCharCode.apply(null, name.subarray(0, -NUL) as unknown as number[]);
}
