/**
 * The numbers by which the kernel knows files and folders: each is kept as long as the kernel has it, and
 * never given to another.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { ROOT_ID } from "../../vmm/fuse/protocol.ts";
import { FileError, type Node } from "./node.ts";

interface Inode {
  readonly key: string;
  node: Node;
  /** How often the kernel was told of it and has not forgotten it. */
  lookups: number;
}

/** Files and folders by number. */
export class InodeTable {
  readonly #inodes = new Map<number, Inode>();
  readonly #byKey = new Map<string, number>();
  #last = ROOT_ID;

  /** @param root The folder that is always there */
  constructor(root: Node) {
    this.#inodes.set(ROOT_ID, { key: "", node: root, lookups: 1 });
  }

  /** How many the kernel has. */
  get size(): number {
    return this.#inodes.size;
  }

  /**
   * What has a number.
   *
   * @throws {FileError} ESTALE if nothing has
   */
  get(id: number): Node {
    const inode = this.#inodes.get(id);
    if (inode === undefined) throw new FileError(Errno.ESTALE);
    return inode.node;
  }

  /**
   * Tells the kernel of something once more.
   *
   * @param parent Number of its folder
   * @param name Its name there
   * @param node What it is now
   * @returns Its number
   */
  enter(parent: number, name: string, node: Node): number {
    const key = `${parent}/${name}`;
    const known = this.#byKey.get(key);
    const inode = known === undefined ? undefined : this.#inodes.get(known);
    // A file never becomes a folder under its number.
    if (inode !== undefined && inode.node.kind === node.kind) {
      inode.node = node;
      inode.lookups++;
      return known!;
    }
    const id = ++this.#last;
    this.#inodes.set(id, { key, node, lookups: 1 });
    this.#byKey.set(key, id);
    return id;
  }

  /**
   * The kernel has forgotten something.
   *
   * @param id Its number
   * @param lookups How many times of those that it was told of it
   */
  forget(id: number, lookups: number): void {
    const inode = this.#inodes.get(id);
    if (inode === undefined || id === ROOT_ID) return;
    inode.lookups -= lookups;
    if (inode.lookups > 0) return;
    this.#inodes.delete(id);
    if (this.#byKey.get(inode.key) === id) this.#byKey.delete(inode.key);
  }
}
