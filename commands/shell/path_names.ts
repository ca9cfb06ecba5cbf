/**
 * Names of files and programs, for completion.
 *
 * @module
 */
import { resolve } from "node:path";

/** More are of no use to a person. */
const MOST = 500;

/** A name; a `partial` one goes on behind it. */
export interface PathName {
  readonly word: string;
  readonly partial: boolean;
}

/**
 * Lists the files whose path starts with a word.
 *
 * @param word The start of a path
 * @param cwd Where relative paths start
 * @param options `foldersOnly` leaves files out
 * @returns Their paths, written as the word is; folders end in a slash
 */
export async function fileNames(
  word: string,
  cwd: string,
  options: { foldersOnly?: boolean } = {},
): Promise<PathName[]> {
  const folder = word.slice(0, word.lastIndexOf("/") + 1);
  const start = word.slice(folder.length);
  const names: PathName[] = [];
  for (const entry of await entries(resolve(cwd, folder))) {
    if (!entry.name.startsWith(start)) continue;
    if (entry.name.startsWith(".") && !start.startsWith(".")) continue;
    const isFolder = entry.isDirectory ||
      (entry.isSymlink && await leadsToFolder(resolve(cwd, folder, entry.name)));
    if (options.foldersOnly === true && !isFolder) continue;
    names.push({ word: `${folder}${entry.name}${isFolder ? "/" : ""}`, partial: isFolder });
  }
  return byName(names);
}

/**
 * Lists the programs of the host.
 *
 * @param searchPath The value of PATH
 * @returns Their names
 */
export async function programNames(searchPath: string): Promise<PathName[]> {
  const names = new Set<string>();
  for (const folder of searchPath.split(":").filter((folder) => folder !== "")) {
    for (const entry of await entries(folder)) if (!entry.isDirectory) names.add(entry.name);
  }
  return [...names].sort().map((word) => ({ word, partial: false }));
}

function byName(names: PathName[]): PathName[] {
  return names.sort((a, b) => a.word < b.word ? -1 : 1).slice(0, MOST);
}

async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(folder));
  } catch {
    return [];
  }
}

async function leadsToFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
