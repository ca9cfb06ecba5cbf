/** Transpiling out here: under emulation each file would take a tenth of a second. */
import { join } from "node:path";
import { emulatedHostDirectory, fingerprint, keyOf } from "./cache.ts";
import { denoDirectory } from "./material.ts";

/**
 * Has deno fill its cache with what changed in a project since the last call, npm packages that
 * were never fetched included. What it cannot transpile fails inside, in the command's own words.
 *
 * @param project the project's folder
 * @param sources its files, relative to it
 * @param work an existing folder for what is made on the way
 */
export async function transpile(project: string, sources: string[], work: string): Promise<void> {
  const scripts = sources.filter((path) => /\.m?tsx?$/.test(path)).map((path) =>
    join(project, path)
  );
  const state = keyOf(Deno.version.deno, [...scripts, join(project, "deno.json")].map(fingerprint));
  const stamp = join(await emulatedHostDirectory(), `transpiled-${keyOf(project)}`);
  if (await Deno.readTextFile(stamp).catch(() => "") === state) return;
  // A lock file of its own: this must not change the project's.
  const lock = join(work, "deno.lock");
  await Deno.copyFile(join(project, "deno.lock"), lock).catch(() => {});
  await fillCache(project, scripts.filter(isStale), lock);
  await Deno.writeTextFile(stamp, state);
}

function isStale(script: string): boolean {
  const changed = (path: string) => Deno.statSync(path).mtime?.getTime() ?? 0;
  try {
    return changed(script) > changed(join(denoDirectory(), "gen/file", `${script}.js`));
  } catch {
    return true; // never transpiled
  }
}

/** One file with an error keeps deno from writing any, so each half is tried by itself. */
async function fillCache(project: string, scripts: string[], lock: string): Promise<void> {
  if (scripts.length === 0) return;
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["cache", "--quiet", `--lock=${lock}`, ...scripts],
    cwd: project,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (success || scripts.length === 1) return;
  const half = scripts.length >> 1;
  await fillCache(project, scripts.slice(0, half), lock);
  await fillCache(project, scripts.slice(half), lock);
}
