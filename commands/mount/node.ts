/**
 * What a tree is made of, with no word of the protocol that shows it.
 *
 * @module
 */
import { HvshError, type HvshErrorOptions } from "../../ffi/errors.ts";
import { errnoName } from "../../ffi/errno.ts";

/** What a file operation is refused with. */
export class FileError extends HvshError {
  override readonly exitStatus = 125;
  /** A positive error number. */
  readonly errno: number;

  /**
   * @param errno A positive error number
   * @param message What is wrong; the number's own words if left out
   * @param options A cause and the next step
   */
  constructor(errno: number, message?: string, options: HvshErrorOptions = {}) {
    super(message ?? errnoName(errno).text, options);
    this.errno = errno;
  }
}

/** Who asks. */
export interface Asker {
  /** Its process. */
  readonly pid: number;
  /** Aborts when a signal interrupts it. */
  readonly signal: AbortSignal;
}

/** How a file is opened. */
export interface Access {
  readonly read: boolean;
  readonly write: boolean;
  /** O_NONBLOCK */
  readonly nonBlocking: boolean;
}

/** What poll(2) tells. */
export const PollEvent = { IN: 1, OUT: 4, ERR: 8, HUP: 16 } as const;

/** A file that is open. */
export interface OpenFile {
  /** Bytes come as they come: there are no places in it. */
  readonly stream?: boolean;
  /** Whether {@linkcode OpenFile.flush} wants to be called. */
  readonly flushes?: boolean;
  /** Called once with the handle that it is known by. */
  opened?(handle: number): void;
  /**
   * Reads.
   *
   * @param position Where; without meaning in a stream
   * @param size Bytes at most
   * @param asker Who reads
   * @returns Bytes; none at the end
   */
  read?(position: bigint, size: number, asker: Asker): Answer<Uint8Array>;
  /** Writes all of some bytes, or refuses them. */
  write?(bytes: Uint8Array<ArrayBuffer>, position: bigint, asker: Asker): Answer<void>;
  /** What poll(2) tells now; `changed` is called when that may have become more. */
  poll?(changed?: () => void): number;
  /** Where data starts or ends from a place on, as lseek(2) has it; undefined if there is none. */
  seek?(position: bigint, kind: "data" | "hole"): bigint | undefined;
  /** Called at each close(2) of it. */
  flush?(): Answer<void>;
  /** Called when nobody has it open any more. */
  close?(): void;
}

/** Now or later. */
export type Answer<T> = T | Promise<T>;

/** A file's type, permissions and so on. */
export interface Attributes {
  /** Permissions. */
  readonly mode: number;
  /** Bytes; 0 where nobody knows it before it is read. */
  readonly size?: number;
  /** When it changed, in milliseconds since 1970. */
  readonly mtime?: number;
}

/** A file. */
export interface FileNode {
  readonly kind: "file";
  attributes(): Answer<Attributes>;
  /**
   * Opens it.
   *
   * @throws {FileError} If that can't be
   */
  open(access: Access, asker: Asker): Answer<OpenFile>;
}

/** A folder. */
export interface FolderNode {
  readonly kind: "folder";
  /** Permissions. */
  readonly mode: number;
  /** Whether what is gone from it has to be gone at once. */
  readonly changes?: boolean;
  /** What has a name in it; undefined if nothing has. */
  find(name: string, asker: Asker): Answer<Node | undefined>;
  /** What is in it. */
  list(asker: Asker): Answer<readonly Entry[]>;
  /** Makes a folder in it. */
  make?(name: string): Node;
  /** Removes a folder of it. */
  remove?(name: string): void;
}

/** A file or a folder. */
export type Node = FileNode | FolderNode;

/** A row of a folder's listing. */
export interface Entry {
  readonly name: string;
  readonly kind: Node["kind"];
}
