/**
 * Patterns that stand for the names of files (POSIX.1-2017 XCU 2.13.3).
 *
 * @module
 */
import { resolve } from "node:path";
import { compiled, isPattern, patternSource, unescaped } from "./pattern.ts";

/**
 * Finds the files that a pattern stands for.
 *
 * @param pattern The pattern; a `/` in it is matched by none of its `*`
 * @param cwd Where relative names start
 * @returns Their names as the pattern spells the way to them, in order; none if there are none
 */
export async function fileNames(pattern: string, cwd: string): Promise<string[]> {
  const [first, ...rest] = pattern.split(/(?<=\/)/);
  let found = await step("", first!, cwd, rest.length > 0);
  for (const [i, piece] of rest.entries()) {
    const more = i < rest.length - 1;
    found = (await Promise.all(found.map((path) => step(path, piece, cwd, more)))).flat();
  }
  return found.sort((a, b) => a < b ? -1 : 1);
}

/** One name of the way: what it may be in a folder. */
async function step(path: string, piece: string, cwd: string, more: boolean): Promise<string[]> {
  const slash = piece.endsWith("/") ? "/" : "";
  const name = slash === "" ? piece : piece.slice(0, -1);
  if (!isPattern(name)) {
    const next = path + unescaped(name);
    if (more || slash !== "") return [next + slash];
    return next === path || await exists(resolve(cwd, next)) ? [next] : [];
  }
  const regexp = compiled(`^(?:${patternSource(name)})$`);
  const hidden = name.startsWith(".") || name.startsWith("\\.");
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(resolve(cwd, path))) {
      if (entry.name.startsWith(".") && !hidden) continue;
      if (!regexp.test(entry.name)) continue;
      if (slash === "" || await isFolder(entry, resolve(cwd, path, entry.name))) {
        names.push(path + entry.name + slash);
      }
    }
  } catch {
    return []; // a folder that cannot be read has no names
  }
  if (hidden) {
    names.push(...[".", ".."].filter((name) => regexp.test(name)).map((n) => path + n + slash));
  }
  return names;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

async function isFolder(entry: Deno.DirEntry, path: string): Promise<boolean> {
  if (!entry.isSymlink) return entry.isDirectory;
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
