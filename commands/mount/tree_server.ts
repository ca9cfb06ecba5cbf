/**
 * The operations of FUSE over a tree of nodes. None of them waits for another.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import {
  fuse_attr_out,
  fuse_batch_forget_in,
  fuse_entry_out,
  fuse_forget_in,
  fuse_forget_one,
  fuse_init_in,
  fuse_init_out,
  fuse_mkdir_in,
  fuse_open_out,
  fuse_read_in,
  fuse_release_in,
  fuse_setattr_in,
  fuse_statfs_out,
} from "../../vmm/fuse/messages.ts";
import { Fattr, InitFlag, Opcode } from "../../vmm/fuse/protocol.ts";
import { agree } from "../../vmm/fuse/init.ts";
import { writeAttributes } from "./attributes.ts";
import type { FuseRequest } from "./fuse_request.ts";
import { InodeTable } from "./inode_table.ts";
import { listing } from "./listing.ts";
import { OpenFiles, type Reply } from "./open_files.ts";
import { type Answer, type Entry, FileError, type FileNode, type FolderNode } from "./node.ts";

/** Bytes of a READ or WRITE at most: 256 pages. */
export const MAX_WRITE = 2 ** 20;
/** How long the kernel may take a name for what it was. */
const VALID_SECONDS = 1;
const MOST_BACKGROUND = 64;
const NAME_MAX = 255;

/** What an operation is. */
type Operation = (request: FuseRequest) => Answer<Reply>;

const DOTS: readonly Entry[] = [{ name: ".", kind: "folder" }, { name: "..", kind: "folder" }];

/** Serves one tree. */
export class TreeServer {
  readonly #inodes: InodeTable;
  readonly #files: OpenFiles;
  readonly #folders = new Map<number, readonly Entry[]>();
  #lastFolder = 0;

  /**
   * @param root The tree
   * @param wake Has those look again that poll a file
   */
  constructor(root: FolderNode, wake: (kh: bigint) => void) {
    this.#inodes = new InodeTable(root);
    this.#files = new OpenFiles(wake);
  }

  /**
   * Does what a request asks for.
   *
   * @param request The request
   * @returns What to answer; null if nobody waits for an answer
   * @throws {FileError} What it is refused with
   */
  handle(request: FuseRequest): Answer<Reply | null> {
    if (request.opcode === Opcode.FORGET) return this.#forget(request);
    if (request.opcode === Opcode.BATCH_FORGET) return this.#forgetMany(request);
    const operation = this.#operations[request.opcode];
    if (operation === undefined) throw new FileError(Errno.ENOSYS);
    return operation(request);
  }

  /** Closes what is open: nobody can close it any more. */
  close(): void {
    this.#files.close();
    this.#folders.clear();
  }

  readonly #operations: Readonly<Record<number, Operation>> = {
    [Opcode.INIT]: init,
    [Opcode.DESTROY]: () => undefined,
    [Opcode.LOOKUP]: (request) => this.#lookUp(request),
    [Opcode.GETATTR]: ({ nodeid }) => this.#attributes(nodeid),
    [Opcode.SETATTR]: (request) => this.#change(request),
    [Opcode.OPEN]: (request) => this.#files.open(this.#fileNode(request), request),
    [Opcode.READ]: (request) => this.#files.read(request),
    [Opcode.WRITE]: (request) => this.#files.write(request),
    [Opcode.FLUSH]: (request) => this.#files.flush(request),
    [Opcode.FSYNC]: () => undefined,
    [Opcode.RELEASE]: (request) => this.#files.release(request),
    [Opcode.POLL]: (request) => this.#files.poll(request),
    [Opcode.LSEEK]: (request) => this.#files.seek(request),
    [Opcode.OPENDIR]: (request) => this.#openFolder(request),
    [Opcode.READDIR]: (request) => this.#readFolder(request),
    [Opcode.RELEASEDIR]: (request) => this.#releaseFolder(request),
    [Opcode.FSYNCDIR]: () => undefined,
    [Opcode.MKDIR]: (request) => this.#make(request),
    [Opcode.RMDIR]: (request) => this.#remove(request),
    [Opcode.STATFS]: statfs,
    [Opcode.CREATE]: refuse,
    [Opcode.MKNOD]: refuse,
    [Opcode.UNLINK]: refuse,
    [Opcode.RENAME]: refuse,
    [Opcode.RENAME2]: refuse,
    [Opcode.LINK]: refuse,
    [Opcode.SYMLINK]: refuse,
  };

  #folder({ nodeid }: FuseRequest): FolderNode {
    const node = this.#inodes.get(nodeid);
    if (node.kind === "folder") return node;
    throw new FileError(Errno.ENOTDIR);
  }

  #fileNode({ nodeid }: FuseRequest): FileNode {
    const node = this.#inodes.get(nodeid);
    if (node.kind === "file") return node;
    throw new FileError(Errno.EISDIR);
  }

  async #lookUp(request: FuseRequest): Promise<Reply> {
    const folder = this.#folder(request);
    const name = request.name();
    const node = await folder.find(name, request);
    if (node === undefined) throw new FileError(Errno.ENOENT);
    return await this.#entry(request.nodeid, name, folder, node);
  }

  async #entry(
    parent: number,
    name: string,
    folder: FolderNode,
    node: FileNode | FolderNode,
  ): Promise<Reply> {
    const out = new fuse_entry_out();
    out.nodeid = this.#inodes.enter(parent, name, node);
    out.entry_valid = folder.changes === true ? 0 : VALID_SECONDS;
    out.attr_valid = await writeAttributes(out.attr, out.nodeid, node);
    return out;
  }

  async #attributes(nodeid: number): Promise<Reply> {
    const node = this.#inodes.get(nodeid);
    const out = new fuse_attr_out();
    out.attr_valid = await writeAttributes(out.attr, nodeid, node);
    return out;
  }

  /** A file that is cut to nothing is what it was, as it is by `>`; times have no meaning either. */
  async #change(request: FuseRequest): Promise<Reply> {
    const { valid } = request.arguments(fuse_setattr_in);
    if ((valid & (Fattr.MODE | Fattr.UID | Fattr.GID)) !== 0) throw new FileError(Errno.EPERM);
    if ((valid & Fattr.SIZE) !== 0) {
      const { mode } = await this.#fileNode(request).attributes();
      if ((mode & 0o222) === 0) throw new FileError(Errno.EACCES);
    }
    return await this.#attributes(request.nodeid);
  }

  async #openFolder(request: FuseRequest): Promise<Reply> {
    const entries = await this.#folder(request).list(request);
    const out = new fuse_open_out();
    out.fh = ++this.#lastFolder;
    this.#folders.set(out.fh, [...DOTS, ...entries]);
    return out;
  }

  #readFolder(request: FuseRequest): Reply {
    const { fh, position, size } = request.arguments(fuse_read_in);
    const entries = this.#folders.get(fh);
    if (entries === undefined) throw new FileError(Errno.EBADF);
    return listing(entries, position, size);
  }

  #releaseFolder(request: FuseRequest): Reply {
    this.#folders.delete(request.arguments(fuse_release_in).fh);
    return undefined;
  }

  async #make(request: FuseRequest): Promise<Reply> {
    const folder = this.#folder(request);
    const name = request.name(fuse_mkdir_in.size);
    if (folder.make === undefined) throw new FileError(Errno.EPERM);
    return await this.#entry(request.nodeid, name, folder, folder.make(name));
  }

  #remove(request: FuseRequest): Reply {
    const folder = this.#folder(request);
    if (folder.remove === undefined) throw new FileError(Errno.EPERM);
    folder.remove(request.name());
    return undefined;
  }

  #forget(request: FuseRequest): null {
    this.#inodes.forget(request.nodeid, request.arguments(fuse_forget_in).nlookup);
    return null;
  }

  #forgetMany(request: FuseRequest): null {
    const { count } = request.arguments(fuse_batch_forget_in);
    const bytes = request.data(fuse_batch_forget_in.size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < count; i++) {
      const { nodeid, nlookup } = new fuse_forget_one(view, i * fuse_forget_one.size);
      this.#inodes.forget(nodeid, nlookup);
    }
    return null;
  }
}

function init(request: FuseRequest): Reply {
  const out = new fuse_init_out();
  const failure = agree(request.arguments(fuse_init_in), out, {
    flags: InitFlag.ASYNC_READ | InitFlag.PARALLEL_DIROPS | InitFlag.ASYNC_DIO |
      InitFlag.ATOMIC_O_TRUNC,
    maxWrite: MAX_WRITE,
    maxBackground: MOST_BACKGROUND,
    agreed: () => {},
  });
  if (failure < 0) throw new FileError(-failure);
  return out;
}

function statfs(): Reply {
  const out = new fuse_statfs_out();
  out.st.namelen = NAME_MAX;
  out.st.bsize = out.st.frsize = 4096;
  return out;
}

/** Files are there or not; only folders of VMs can be made. */
function refuse(): never {
  throw new FileError(Errno.EPERM);
}
