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

/** Our own C, compiled. */
export interface CPrograms {
  /** c_vmm.c */
  readonly vmm: string;
  /** process_timer.c */
  readonly processTimer: string;
}

/** Programs and files of one run. */
export class Workbench implements AsyncDisposable {
  /** The launcher of hvsh. */
  readonly hvsh: string = fileURLToPath(new URL("../hvsh", import.meta.url));
  readonly qemu: string | undefined = findProgram("qemu-system-x86_64");
  readonly lkvm: string | undefined = findProgram("lkvm");
  /** Ends every process that a bench has started. */
  readonly signal: AbortSignal;
  readonly #warn: (line: string) => void;
  readonly #folder = Deno.makeTempDirSync({ prefix: "hvsh-bench." });
  #c: Promise<CPrograms | undefined> | undefined;
  #files = 0;

  /**
   * @param signal Aborts the run
   * @param warn Told what is left out
   */
  constructor(signal: AbortSignal, warn: (line: string) => void) {
    this.signal = signal;
    this.#warn = warn;
    if (this.qemu === undefined) warn("no qemu-system-x86_64 on PATH: it is left out");
    if (this.lkvm === undefined) warn("no lkvm on PATH: it is left out");
  }

  /**
   * Compiles our own C, the first time.
   *
   * @returns The programs; undefined without a C compiler
   * @throws {Error} If the compiler fails
   */
  c(): Promise<CPrograms | undefined> {
    return this.#c ??= this.#compile();
  }

  async #compile(): Promise<CPrograms | undefined> {
    const compiler = findProgram("cc") ?? findProgram("gcc") ?? findProgram("clang");
    if (compiler === undefined) {
      this.#warn(
        "NO C COMPILER (cc, gcc, clang) on PATH: the subject c AND ALL OF rss ARE LEFT OUT",
      );
      return undefined;
    }
    const [vmm, processTimer] = await Promise.all([
      compile(compiler, "c_vmm", this.#folder),
      compile(compiler, "process_timer", this.#folder),
    ]);
    return { vmm, processTimer };
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
