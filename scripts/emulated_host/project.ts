/** The tar that a call brings: the project, what deno has transpiled of it, and the command. */
import { dirname, join, relative } from "node:path";
import { run } from "../setup/apt.ts";
import { cacheDirectory, guestsDirectory } from "../setup/guests.ts";
import { fingerprint } from "./cache.ts";
import type { Call } from "./call.ts";
import { denoDirectory } from "./material.ts";
import { quote } from "./shell_word.ts";

/** init.sh reads the tar in blocks of this size. */
export const TAR_BLOCK = 65536;

/** Where init.sh looks for what it is to do. */
const INSTRUCTIONS = "run/emulated-host";

/**
 * Packs everything that is new with each call.
 *
 * Each file goes to the same absolute path inside: deno's cache of transpiled files is keyed by
 * the path, and paths in messages and documents stay true.
 *
 * @param project the project's folder
 * @param sources its files, relative to it
 * @param call what was asked
 * @param cwd the folder that the command runs in
 * @param mark what init.sh writes behind the command's output
 * @param work an existing folder for what is made on the way
 * @returns the tar file
 */
export async function packProject(
  project: string,
  sources: string[],
  call: Call,
  cwd: string,
  mark: string,
  work: string,
): Promise<string> {
  const stage = join(work, "stage");
  const write = async (path: string, text: string) => {
    await Deno.mkdir(join(stage, dirname(path)), { recursive: true });
    await Deno.writeTextFile(join(stage, path), text);
  };
  await write(`${INSTRUCTIONS}/command`, commandScript(call, cwd));
  await write(`${INSTRUCTIONS}/mark`, mark);
  await write(`${INSTRUCTIONS}/out`, call.out.map((path) => path.slice(1) + "\n").join(""));
  await link(stage, join(denoDirectory(), "npm"), "/opt/material/npm");
  await link(stage, guestsDirectory(), "/opt/material/guests");
  for (const path of [cwd, ...call.out]) await Deno.mkdir(stage + path, { recursive: true });

  const gone = (path: string) => call.out.some((out) => path === out || path.startsWith(`${out}/`));
  const paths = sources.map((path) => join(project, path)).filter((path) => !gone(path));
  const transpiled = join(denoDirectory(), "gen/file", project);
  if (fingerprint(transpiled) !== null) paths.push(transpiled);
  paths.push(...call.in);
  await Deno.writeTextFile(join(work, "paths"), paths.map((path) => path.slice(1) + "\0").join(""));

  const tar = join(work, "project.tar");
  const staged = [...Deno.readDirSync(stage)].map((entry) => entry.name);
  await run("tar", [
    ...["--create", "--file", tar, "--format=gnu", "--numeric-owner", "--owner=0", "--group=0"],
    ...["--directory", stage, ...staged],
    ...["--directory", "/", "--null", "--verbatim-files-from", "--files-from", join(work, "paths")],
  ]);
  return tar;
}

async function link(stage: string, path: string, target: string): Promise<void> {
  await Deno.mkdir(stage + dirname(path), { recursive: true });
  await Deno.symlink(target, stage + path);
}

/** The variables that are passed on. */
const PASSED = /^(HVSH_.*|NO_COLOR)$/;

function commandScript(call: Call, cwd: string): string {
  const passed = Object.entries(Deno.env.toObject()).filter(([name]) => PASSED.test(name));
  const variables = {
    ...Object.fromEntries(passed),
    DENO_DIR: denoDirectory(),
    DENO_NO_UPDATE_CHECK: "1",
    XDG_CACHE_HOME: dirname(cacheDirectory()),
    XDG_RUNTIME_DIR: "/run/user/0",
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
    `cd ${quote(cwd)} || exit 125`,
    `exec ${call.command.map(quote).join(" ")}`,
    "",
  ].join("\n");
}

/**
 * What git would commit; without git, everything.
 *
 * @param project the project's folder
 * @returns paths relative to it
 */
export async function projectFiles(project: string): Promise<string[]> {
  const listed = await run(
    "git",
    ["-C", project, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
  ).catch(() => undefined);
  const paths = listed?.split("\0") ?? [...allFiles(project)];
  // git still lists a file that was deleted but not yet from its index.
  return [...new Set(paths)].filter((path) => {
    if (path === "") return false;
    try {
      return !Deno.lstatSync(join(project, path)).isDirectory;
    } catch {
      return false;
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
