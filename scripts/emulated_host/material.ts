/** The disk with what a project's programs read: npm packages and the guests that tests boot. */
import { join } from "node:path";
import { guestPath, guestsDirectory, MADE } from "../setup/guests.ts";
import { cached, fingerprint, keyOf } from "./cache.ts";
import { type DiskContent, makeDisk } from "./disk_image.ts";

/**
 * Deno's own cache.
 *
 * @returns `$DENO_DIR` or what Deno takes without it
 */
export function denoDirectory(): string {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? join(Deno.env.get("HOME") ?? "/", ".cache");
  return Deno.env.get("DENO_DIR") ?? join(cache, "deno");
}

/**
 * Gives the disk for a project, building it when its packages or the guests changed.
 *
 * @param project the project's folder
 * @returns the image
 */
export async function materialDisk(project: string): Promise<string> {
  const packages = lockedPackages(project);
  const guests = guestsDirectory();
  const key = keyOf(
    fingerprint(join(guests, "manifest.json")),
    MADE.map((name) => fingerprint(guestPath(name))),
    packages.map((one) => one.path),
  );
  return await cached(
    "material.ext4",
    key,
    (path, work) => makeDisk(path, [{ path: "guests", source: guests }, ...packages], work),
  );
}

/** The packages that deno.lock names, as far as they have been fetched. */
function lockedPackages(project: string): DiskContent[] {
  const npm = join(denoDirectory(), "npm");
  const contents = new Map<string, DiskContent>();
  for (const registry of folders(npm)) {
    for (const { name, version } of locked(project)) {
      for (const file of [version, "registry.json"]) {
        const path = join(registry, name, file);
        const source = join(npm, path);
        if (fingerprint(source) !== null) contents.set(path, { path: join("npm", path), source });
      }
    }
  }
  return [...contents.values()].sort((a, b) => a.path < b.path ? -1 : 1);
}

/** A key is NAME@VERSION, and _PEER@VERSION behind it for each peer that was chosen. */
function locked(project: string): { name: string; version: string }[] {
  let lock: { npm?: Record<string, unknown> };
  try {
    lock = JSON.parse(Deno.readTextFileSync(join(project, "deno.lock")));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  return Object.keys(lock.npm ?? {}).flatMap((key) => {
    const [, name, version] = /^(@?[^@]+)@([^_]+)/.exec(key) ?? [];
    return name !== undefined && version !== undefined ? [{ name, version }] : [];
  });
}

function folders(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].filter((entry) => entry.isDirectory).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
