/** Which files are the project. */
import { join, relative } from "node:path";
import { run } from "../setup/apt.ts";

/**
 * What git would commit; without git, everything but node_modules.
 *
 * @param project the project's folder
 * @returns paths relative to it, without folders
 */
export async function projectFiles(project: string): Promise<string[]> {
  const listed = await run(
    "git",
    ["-C", project, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  ).catch(() => undefined);
  const paths = listed?.split("\0") ?? [...allFiles(project)];
  return [...new Set(paths)].filter((path) => {
    if (path === "") return false;
    try {
      return !Deno.lstatSync(join(project, path)).isDirectory;
    } catch {
      return false; // deleted, but git's index still lists it
    }
  });
}

function* allFiles(project: string, folder = project): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (!isDirectory) yield relative(project, path);
    else if (name !== ".git" && name !== "node_modules") yield* allFiles(project, path);
  }
}
