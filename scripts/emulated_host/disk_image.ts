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

/**
 * Makes an ext4 image, which Debian's cloud kernel mounts without a module.
 *
 * @param image the file to make; it appears whole or not at all
 * @param contents what it holds; a missing source is left out
 * @param work an existing folder for what is made on the way
 */
export async function makeDisk(image: string, contents: DiskContent[], work: string) {
  const mkfs = findProgram("mkfs.ext4");
  if (mkfs === undefined) throw new Failure("mkfs.ext4 not found; run: deno task setup");
  const tree = await Deno.makeTempDir({ dir: work, prefix: "tree." });
  let bytes = 0;
  for (const { path, source } of contents) bytes += await copy(source, join(tree, path));
  // Room for inodes and block maps; what is not used is a hole in the file.
  const mebibytes = Math.ceil(bytes * 1.1 / 2 ** 20) + 32;
  const made = join(work, "disk.ext4");
  await run(mkfs, ["-q", "-F", "-O", "^has_journal", "-d", tree, made, `${mebibytes}M`]);
  await Deno.truncate(made, DISK_BYTES);
  await Deno.rename(made, image);
  await Deno.remove(tree, { recursive: true });
}

async function copy(source: string, target: string): Promise<number> {
  const info = await Deno.lstat(source).catch(() => undefined);
  if (info === undefined) return 0;
  if (info.isDirectory) {
    await Deno.mkdir(target, { recursive: true });
    let bytes = 4096;
    for await (const { name } of Deno.readDir(source)) {
      bytes += await copy(join(source, name), join(target, name));
    }
    return bytes;
  }
  await Deno.mkdir(dirname(target), { recursive: true });
  if (info.isSymlink) {
    await Deno.symlink(await Deno.readLink(source), target);
    return 4096;
  }
  await Deno.copyFile(source, target);
  return info.size + 4096;
}
