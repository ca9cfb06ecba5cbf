/**
 * What a run of the benches works with: the programs that this machine has, our own C compiled, and
 * a folder for guests, all gone afterwards.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "../setup/find_program.ts";

const SOURCES = new URL(".", import.meta.url);

/** Programs and files of one run. */
export class Workbench implements AsyncDisposable {
  /** The launcher of hvsh. */
  readonly hvsh: string = fileURLToPath(new URL("../hvsh", import.meta.url));
  readonly qemu: string | undefined = findProgram("qemu-system-x86_64");
  readonly lkvm: string | undefined = findProgram("lkvm");
  readonly #folder: string;
  #files = 0;

  /**
   * @param folder A new folder of its own
   * @param signal Ends every process that a bench has started
   * @param cVmm c_vmm.c, compiled; undefined without a C compiler
   * @param processTimer process_timer.c, compiled
   */
  private constructor(
    folder: string,
    readonly signal: AbortSignal,
    readonly cVmm: string | undefined,
    readonly processTimer: string | undefined,
  ) {
    this.#folder = folder;
  }

  /**
   * Makes the folder and compiles.
   *
   * @param signal Aborts the run
   * @param warn Told what is left out
   * @returns The workbench; dispose it to remove the folder
   * @throws {Error} If the compiler fails
   */
  static async open(signal: AbortSignal, warn: (line: string) => void): Promise<Workbench> {
    const folder = await Deno.makeTempDir({ prefix: "hvsh-bench." });
    await using stack = new AsyncDisposableStack();
    stack.defer(() => Deno.remove(folder, { recursive: true }));
    const compiler = findProgram("cc") ?? findProgram("gcc") ?? findProgram("clang");
    let bench: Workbench;
    if (compiler === undefined) {
      warn(
        "NO C COMPILER (cc, gcc, clang) on PATH: the subject c, all ratios to it, and rss are left out",
      );
      bench = new Workbench(folder, signal, undefined, undefined);
    } else {
      const [cVmm, timer] = await Promise.all([
        compile(compiler, "c_vmm", folder),
        compile(compiler, "process_timer", folder),
      ]);
      bench = new Workbench(folder, signal, cVmm, timer);
    }
    for (const [name, path] of [["qemu-system-x86_64", bench.qemu], ["lkvm", bench.lkvm]]) {
      if (path === undefined) warn(`no ${name} on PATH: it is left out`);
    }
    stack.move();
    return bench;
  }

  /**
   * Writes a file.
   *
   * @param bytes What is in it
   * @returns Its path
   */
  async file(bytes: Uint8Array): Promise<string> {
    const path = join(this.#folder, `guest${this.#files++}.bin`);
    await Deno.writeFile(path, bytes);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function compile(compiler: string, name: string, folder: string): Promise<string> {
  const binary = join(folder, name);
  const source = fileURLToPath(new URL(`${name}.c`, SOURCES));
  const args = ["-O2", "-pthread", "-o", binary, source];
  // Static starts sooner and is smaller in memory, but not every system has the library for it.
  const first = await new Deno.Command(compiler, { args: ["-static", ...args], stderr: "null" })
    .output();
  if (first.success) return binary;
  const second = await new Deno.Command(compiler, { args, stderr: "inherit" }).output();
  if (!second.success) throw new Error(`${compiler} cannot compile ${source}`);
  return binary;
}
