/** Read-only disks for the emulated host. */
import { dirname, join } from "node:path";
import { run } from "../setup/apt.ts";
import { findProgram } from "../setup/find_program.ts";
import { Failure } from "./failure.ts";

/**
 * The size that every disk has inside, whatever its file holds: it is part of the snapshot, so a
 * call may bring other disks than the snapshot was built with. The files are sparse.
 */
export const DISK_BYTES = 4 * 2 ** 30;

/** What goes onto a disk: the path on it, and the file or folder of this host that is copied. */
export type DiskContent = { path: string; source: string };

/** What else a disk has: symbolic links, and room to write. */
export type DiskExtras = { links?: { path: string; target: string }[]; freeMiB?: number };

/**
 * Makes an ext4 image, which Debian's cloud kernel mounts without a module.
 *
 * @param image the file to make; it appears whole or not at all
 * @param contents what it holds; a missing source is left out
 * @param work an existing folder for what is made on the way
 * @param extras what it has besides
 */
export async function makeDisk(
  image: string,
  contents: DiskContent[],
  work: string,
  { links = [], freeMiB = 0 }: DiskExtras = {},
): Promise<void> {
  const mkfs = findProgram("mkfs.ext4");
  if (mkfs === undefined) throw new Failure("mkfs.ext4 not found; run: deno task setup");
  const tree = await Deno.makeTempDir({ dir: work, prefix: "tree." });
  let bytes = 0;
  for (const { path, source } of contents) bytes += copy(source, join(tree, path));
  for (const { path, target } of links) {
    Deno.mkdirSync(dirname(join(tree, path)), { recursive: true });
    Deno.symlinkSync(target, join(tree, path));
  }
  // Room for inodes and block maps too; what is not used is a hole in the file.
  const mebibytes = Math.ceil(bytes * 1.1 / 2 ** 20) + 32 + freeMiB;
  const made = join(work, "disk.ext4");
  // No reserved blocks: only root is inside.
  const options = ["-q", "-F", "-O", "^has_journal", "-b", "4096", "-m", "0", "-i", "8192"];
  await run(mkfs, [...options, "-d", tree, made, `${mebibytes}M`]);
  await Deno.truncate(made, DISK_BYTES);
  await Deno.rename(made, image);
}

/** Thousands of small files: done one after the other, without a thread for each. */
function copy(source: string, target: string): number {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(source);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
  if (info.isDirectory) {
    Deno.mkdirSync(target, { recursive: true });
    let bytes = 4096;
    for (const { name } of Deno.readDirSync(source)) {
      bytes += copy(join(source, name), join(target, name));
    }
    return bytes;
  }
  makeParent(target);
  if (info.isSymlink) Deno.symlinkSync(Deno.readLinkSync(source), target);
  else Deno.copyFileSync(source, target);
  return info.size + 4096;
}

/** The folder that was made last: the next file is mostly in it too. */
let lastParent = "";

function makeParent(path: string): void {
  const parent = dirname(path);
  if (parent !== lastParent) Deno.mkdirSync(parent, { recursive: true });
  lastParent = parent;
}
