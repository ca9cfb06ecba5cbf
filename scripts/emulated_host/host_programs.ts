/** The programs of this host that are there inside too, with the libraries they load. */
import { dirname } from "node:path";
import { run } from "../setup/apt.ts";
import type { CpioEntry } from "../../vmm/boot/cpio.ts";
import { findProgram } from "../setup/find_program.ts";
import { fingerprint } from "./cache.ts";
import type { DiskContent } from "./disk_image.ts";

/** Where the disk with them is mounted inside. */
const MOUNT = "/opt/host";

/** What the busybox inside has not, for tests. Left out where the host has none. */
const OPTIONAL = ["jq", "zstd", "xz", "git"]
  // Disks: what makes images, looks into them and serves them, and what measures them.
  .concat("mkfs.ext4", "e2fsck", "debugfs", "qemu-img", "qemu-nbd", "nbdkit", "fio")
  // Networks. passt starts its other build, from the same folder, where the processor has AVX2.
  .concat("passt", "passt.avx2", "ip", "unshare", "socat");

/** What is loaded by name: by npm packages with native parts, terminals among them, and by user networking. */
const LIBRARIES = ["libstdc++.so.6", "libslirp.so.0", "libutil.so.1"];

/** nbdkit's plugins that are brought. */
const NBDKIT_PLUGINS = ["memory"];

/** Those of git's commands that are scripts, and what they read. */
const GIT_SCRIPTS = ["git-bisect", "git-sh-setup", "git-sh-i18n"];

/**
 * Finds the programs.
 *
 * @returns the name inside and the file of each
 */
export function hostPrograms(): Map<string, string> {
  const programs = new Map([["deno", Deno.realPathSync(Deno.execPath())]]);
  for (const name of OPTIONAL) {
    const path = findProgram(name);
    if (path !== undefined) programs.set(name, Deno.realPathSync(path));
  }
  return programs;
}

/**
 * Lays the programs out: the files for their disk, and for the initramfs a symbolic link at the
 * place where each library is on this host, since that is where the loader looks.
 *
 * @param programs what `hostPrograms` gave
 * @returns the disk's contents and the links
 */
export async function layOut(
  programs: Map<string, string>,
): Promise<{ contents: DiskContent[]; links: CpioEntry[] }> {
  const contents = [...programs].map(([name, source]) => ({ path: `bin/${name}`, source }));
  const links = new Map<string, CpioEntry>();
  const found = [sharedLibraries(), nbdkitPlugins(programs), gitScripts(programs)];
  const named = (await Promise.all(found)).flat();
  const needed = await Promise.all([...programs.values(), ...named].map(libraries));
  for (const library of new Set([...named, ...needed.flat()])) {
    const path = library.slice(1);
    for (const folder of parents(path)) links.set(folder, { path: folder, type: "directory" });
    links.set(path, { path, type: "symlink", target: `${MOUNT}/${path}` });
    contents.push({ path, source: await Deno.realPath(library) });
  }
  return { contents, links: [...links.values()] };
}

async function libraries(program: string): Promise<string[]> {
  // A static program has none, and ldd fails on it.
  const text = await run("ldd", [program]).catch(() => "");
  return [...text.matchAll(/(?:=> |^\s+)(\/\S+)/gm)].map((match) => match[1] as string);
}

/** What the loader's cache knows of LIBRARIES. */
async function sharedLibraries(): Promise<string[]> {
  const text = await run(findProgram("ldconfig") ?? "ldconfig", ["-p"]).catch(() => "");
  return LIBRARIES.flatMap((name) => {
    const line = text.split("\n").find((line) => line.trim().startsWith(`${name} `));
    const path = line?.split(" => ")[1];
    return path === undefined ? [] : [path];
  });
}

/** A plugin's place is built into nbdkit, so it has the same one inside. */
async function nbdkitPlugins(programs: Map<string, string>): Promise<string[]> {
  const nbdkit = programs.get("nbdkit");
  if (nbdkit === undefined) return [];
  const folder = /^plugindir=(.+)$/m.exec(await run(nbdkit, ["--dump-config"]))?.[1];
  return NBDKIT_PLUGINS.map((name) => `${folder}/nbdkit-${name}-plugin.so`)
    .filter((path) => fingerprint(path) !== null);
}

/** A newer git has fewer of them. */
async function gitScripts(programs: Map<string, string>): Promise<string[]> {
  const git = programs.get("git");
  if (git === undefined) return [];
  const folder = (await run(git, ["--exec-path"])).trim();
  return GIT_SCRIPTS.map((name) => `${folder}/${name}`).filter((path) =>
    fingerprint(path) !== null
  );
}

/** The folders above a path, outermost first. */
function parents(path: string): string[] {
  const folders = [];
  for (let at = dirname(path); at !== "."; at = dirname(at)) folders.unshift(at);
  return folders;
}
