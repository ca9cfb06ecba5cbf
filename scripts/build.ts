/**
 * `deno task build`: puts the program into a few files under `dist/`, which `scripts/hvsh` runs when
 * they are as new as the sources. Deno opens, checks and compiles each module of its own; with them
 * joined a VM is up in two thirds of the time.
 *
 * @module
 */

/** Packages that bring WebAssembly or native code are left where npm puts them. */
const EXTERNAL = ["iced-x86", "node-liblzma", "node-liblzma/*"];
const ROOT = new URL("..", import.meta.url);
const OUTPUT = new URL("dist/", ROOT);

/** Entry points: what starts as a program or a Worker of its own. */
const ENTRIES = {
  main: "commands/main.ts",
  owner_main: "commands/live/owner_main.ts",
  worker: "vmm/threads/worker.ts",
  fuse_thread: "commands/mount/fuse_thread.ts",
  symbols_thread: "commands/mount/symbols_thread.ts",
  fill_worker: "vmm/state/lazy/fill_worker.ts",
} as const;

/** Runs `deno bundle`. */
async function bundle(source: string, into: string): Promise<void> {
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      // Not `deno`, which would import node:module, and with it much of Node, into every program.
      "--platform=browser",
      "--minify",
      "--code-splitting",
      ...EXTERNAL.map((name) => `--external=${name}`),
      `--outdir=${into}`,
      source,
    ],
    cwd: ROOT,
    stdout: "inherit",
    stderr: "inherit",
  });
  const { code } = await command.output();
  if (code !== 0) throw new Error(`deno bundle ${source} failed with status ${code}`);
}

/**
 * Deno reads all that a literal `import()` names before the module that holds it runs. What is
 * loaded on demand would be loaded always; an expression in its place is looked at when it is run.
 *
 * @param code A bundle
 * @returns The same program
 */
export function deferImports(code: string): string {
  return code.replaceAll(/\bimport\("(\.[^"]+)"\)/g, 'import(""+"$1")');
}

/** Builds everything beside the old output, then puts it in its place. */
async function build(): Promise<void> {
  const fresh = new URL("dist.new/", ROOT);
  await remove(fresh);
  for (const [name, source] of Object.entries(ENTRIES)) {
    await bundle(source, `dist.new/${name}`);
  }
  for (const name of Object.keys(ENTRIES)) {
    const folder = new URL(`${name}/`, fresh);
    for (const { name: file } of Deno.readDirSync(folder)) {
      const path = new URL(file, folder);
      await Deno.writeTextFile(path, deferImports(await Deno.readTextFile(path)));
    }
  }
  await remove(OUTPUT);
  await Deno.rename(fresh, OUTPUT);
}

async function remove(folder: URL): Promise<void> {
  try {
    await Deno.remove(folder, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

if (import.meta.main) await build();
