/** The folder where the emulated host keeps what it built, keyed by what it was built from. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { cacheDirectory } from "../setup/guests.ts";

/** @returns `$XDG_CACHE_HOME/hvsh/emulated-host`, made if it is not there */
export async function emulatedHostDirectory(): Promise<string> {
  const folder = join(cacheDirectory(), "emulated-host");
  await Deno.mkdir(folder, { recursive: true });
  return folder;
}

/**
 * A short name for what something was made from.
 *
 * @param parts anything JSON can write
 * @returns 16 hexadecimal digits
 */
export function keyOf(...parts: unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/**
 * What tells a version of a file from another without reading it.
 *
 * @param path the file
 * @returns its path, size and time of change, or null without it
 */
export function fingerprint(path: string): unknown {
  try {
    const { size, mtime } = Deno.statSync(path);
    return [path, size, mtime?.getTime()];
  } catch {
    return null;
  }
}

/**
 * Gives a thing from the cache, building it first if need be. One process builds, others wait.
 *
 * @param kind what the thing is: its path is `KIND-KEY`
 * @param key what it is made from
 * @param build makes it: gets the path and an empty folder to work in, and must leave the path
 * only when it is whole
 * @param options.kept how many generations stay: by default two, to switch between
 * @returns the path
 */
export async function cached(
  kind: string,
  key: string,
  build: (path: string, work: string) => Promise<void>,
  { kept = 2 }: { kept?: number } = {},
): Promise<string> {
  const folder = await emulatedHostDirectory();
  const path = join(folder, `${kind}-${key}`);
  if (await touch(path)) return path;
  using lock = await Deno.open(join(folder, `${kind}.lock`), { create: true, write: true });
  await lock.lock(true);
  if (await touch(path)) return path;
  await using work = await RunFolder.make();
  await build(path, work.path);
  await prune(folder, kind, kept);
  return path;
}

/** Marks a thing as used now, which is what pruning goes by. */
async function touch(path: string): Promise<boolean> {
  try {
    await Deno.utime(path, new Date(), new Date());
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A machine that runs from what is removed here has its files open, and goes on. */
async function prune(folder: string, kind: string, kept: number): Promise<void> {
  const things = [];
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(`${kind}-`)) continue;
    const path = join(folder, name);
    things.push({ path, used: (await Deno.stat(path)).mtime?.getTime() ?? 0 });
  }
  things.sort((a, b) => b.used - a.used);
  for (const { path } of things.slice(kept)) await Deno.remove(path, { recursive: true });
}

/** A folder for one run, gone with it. */
export class RunFolder implements AsyncDisposable {
  readonly #alive: Deno.FsFile;

  private constructor(readonly path: string, alive: Deno.FsFile) {
    this.#alive = alive;
  }

  /**
   * Makes a folder, and removes those of runs whose process is gone.
   *
   * @returns the folder
   */
  static async make(): Promise<RunFolder> {
    const parent = await emulatedHostDirectory();
    for await (const { name } of Deno.readDir(parent)) {
      if (name.startsWith("run.")) await removeIfDead(join(parent, name));
    }
    const starting = await Deno.makeTempDir({ dir: parent, prefix: "starting." });
    const alive = await Deno.open(join(starting, "alive"), { create: true, write: true });
    await alive.lock(true);
    // Only now may others look at it: without its lock it would pass for dead.
    const path = starting.replace(/starting\.(?=[^/]*$)/, "run.");
    await Deno.rename(starting, path);
    return new RunFolder(path, alive);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
    this.#alive.close();
  }
}

async function removeIfDead(folder: string): Promise<void> {
  try {
    using alive = await Deno.open(join(folder, "alive"), { write: true });
    if (await alive.tryLock(true)) await Deno.remove(folder, { recursive: true });
  } catch (error) {
    // Its own process, or another one that looks here, removes it just now.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
