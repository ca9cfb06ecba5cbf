/** The disk with the project and what deno and `deno task build` have made of it. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { cached, fingerprint, keyOf } from "./cache.ts";
import { type DiskContent, makeDisk } from "./disk_image.ts";
import { denoDirectory } from "./material.ts";

/** Where init's instructions mount it. */
export const PROJECT_MOUNT = "/opt/project";

/** What programs inside may write to the project's folder. */
const FREE_MIB = 1024;

/**
 * Gives the disk, made anew when a file changed. A machine's writes to it are dropped with it.
 *
 * The project is in the folder `project` and deno's cache in `deno`. Unpacking a tar inside would
 * take a millisecond for each file.
 *
 * @param project the project's folder
 * @param sources its files, relative to it
 * @returns the image
 */
export async function projectDisk(project: string, sources: string[]): Promise<string> {
  const contents: DiskContent[] = sources.map((path) => ({
    path: join("project", path),
    source: join(project, path),
  }));
  for (const path of sources) {
    // Keyed by the path of the source file, which is the same inside.
    const transpiled = join("gen/file", join(project, `${path}.js`));
    const source = join(denoDirectory(), transpiled);
    if (fingerprint(source) !== null) contents.push({ path: join("deno", transpiled), source });
  }
  contents.push(...built(project, sources));
  const key = keyOf(project, contents.map((content) => fingerprint(content.source)));
  // Several trees are tested at once, and each edit is a new version: what a call is about to
  // open must not be pruned by the next ones.
  return await cached("project", key, (path, work) => {
    const links = [{ path: "deno/npm", target: "/opt/material/npm" }];
    const all = [...contents, ...analyses(work)];
    return makeDisk(path, all, work, { links, freeMiB: FREE_MIB });
  }, { kept: 6 });
}

/** What `deno task build` made, by the rule of scripts/hvsh: as long as no source is newer. */
function built(project: string, sources: string[]): DiskContent[] {
  const changed = (path: string) => Deno.lstatSync(join(project, path)).mtime?.getTime() ?? 0;
  if (fingerprint(join(project, "dist/main/main.js")) === null) return [];
  const made = changed("dist/main/main.js");
  const matters = /^(ffi|vmm|commands)\/|^deno\.json$/;
  if (sources.some((path) => matters.test(path) && changed(path) > made)) return [];
  return filesBelow(join(project, "dist")).map((source) => ({
    path: join("project/dist", source.slice(join(project, "dist").length)),
    source,
  }));
}

function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesBelow(join(folder, name)) : [join(folder, name)]
  );
}

/**
 * Copies of the databases in which deno keeps what a source imports: parsing it again under
 * emulation would take a start-up a second more. They are not part of the disk's key, since every
 * run of deno changes them, and one that is old or cut short costs time only.
 */
function analyses(work: string): DiskContent[] {
  const kept = /^(dep|node)_analysis_cache_v\d+$/;
  const names = [...Deno.readDirSync(denoDirectory())].map((entry) => entry.name);
  return names.filter((name) => kept.test(name)).flatMap((name) => {
    const source = join(work, name);
    try {
      using database = new DatabaseSync(join(denoDirectory(), name), { readOnly: true });
      database.prepare("VACUUM INTO ?").run(source);
    } catch {
      return []; // locked, or of another SQLite
    }
    return [{ path: join("deno", name), source }];
  });
}
