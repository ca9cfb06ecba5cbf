/**
 * A node's attributes as the protocol has them.
 *
 * @module
 */
import { S } from "../../ffi/file_structs.ts";
import { libc } from "../../ffi/libc.ts";
import type { fuse_attr } from "../../vmm/fuse/messages.ts";
import type { Attributes, Node } from "./node.ts";

const BLOCK = 512;
const PAGE = 4096;
const BORN = Date.now();
/** What has neither length nor time of its own does not change. */
const VALID_SECONDS = 1;

/**
 * Fills attributes in.
 *
 * @param out Where to, zeros
 * @param ino The node's number
 * @param node The node
 * @returns For how many seconds they stay as they are
 */
export async function writeAttributes(
  out: InstanceType<typeof fuse_attr>,
  ino: number,
  node: Node,
): Promise<number> {
  const folder = node.kind === "folder";
  const attributes: Attributes = folder ? { mode: node.mode } : await node.attributes();
  const { mode, size = 0, mtime = BORN } = attributes;
  out.ino = BigInt(ino);
  out.mode = mode | (folder ? S.S_IFDIR : S.S_IFREG);
  out.nlink = folder ? 2 : 1;
  out.uid = libc.geteuid();
  out.gid = libc.getegid();
  out.size = BigInt(size);
  out.blocks = BigInt(Math.ceil(size / BLOCK));
  out.blksize = PAGE;
  const seconds = BigInt(Math.floor(mtime / 1000));
  const nanoseconds = Math.floor(mtime % 1000) * 1e6;
  out.atime = out.mtime = out.ctime = seconds;
  out.atimensec = out.mtimensec = out.ctimensec = nanoseconds;
  return attributes.size === undefined && attributes.mtime === undefined ? VALID_SECONDS : 0;
}
