/**
 * What a run of the benches works with: the programs that this machine has, our own C compiled, and
 * a folder for guests, all gone afterwards.
 *
 * @module
 */
import { statfsSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "../setup/find_program.ts";
import { ringFirmware } from "./ring_firmware.ts";

const SOURCES = new URL(".", import.meta.url);

/** Our own C, compiled. */
export interface CPrograms {
  /** c_vmm.c */
  readonly vmm: string;
  /** process_timer.c */
  readonly processTimer: string;
}

/** What benches of virtio devices need, compiled. */
export interface RingPrograms {
  /** Path of ring_guest.c's firmware. */
  readonly firmware: string;
  /** scripts/guest/probe.c, for the host's own figures. */
  readonly probe: string;
  /** host_net.c */
  readonly hostNet: string;
}

/** Where disk images are made: the first that is no memory, which no O_DIRECT goes around. */
const IMAGE_FOLDERS = ["/var/tmp", fileURLToPath(new URL("../..", import.meta.url))];
/** TMPFS_MAGIC (statfs(2)) */
const TMPFS = 0x0102_1994;

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
  #ring: Promise<RingPrograms | undefined> | undefined;
  #image: Promise<string> | undefined;
  #imageFolder: string | undefined;
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
    const compiler = findCompiler();
    if (compiler === undefined) {
      this.#warn(
        "NO C COMPILER (cc, gcc, clang) on PATH: the subject c AND ALL OF rss ARE LEFT OUT",
      );
      return undefined;
    }
    const [vmm, processTimer] = await Promise.all([
      compile(compiler, "c_vmm.c", this.#folder),
      compile(compiler, "process_timer.c", this.#folder),
    ]);
    return { vmm, processTimer };
  }

  /**
   * Compiles what benches of virtio devices need, the first time.
   *
   * @returns The programs; undefined without a C compiler
   * @throws {Error} If the compiler fails
   */
  ring(): Promise<RingPrograms | undefined> {
    return this.#ring ??= this.#compileRing();
  }

  async #compileRing(): Promise<RingPrograms | undefined> {
    const compiler = findCompiler();
    if (compiler === undefined) return undefined;
    const [image, probe, hostNet] = await Promise.all([
      ringFirmware(compiler, join(this.#folder, "ring_guest")),
      compile(compiler, "../guest/probe.c", this.#folder),
      compile(compiler, "host_net.c", this.#folder),
    ]);
    return { firmware: await this.file(image), probe, hostNet };
  }

  /**
   * Makes a disk image without holes, the first time.
   *
   * @param size Its bytes
   * @param piece How many of them to write at once, a divisor of them
   * @returns Its path
   */
  image(size: number, piece: number): Promise<string> {
    return this.#image ??= this.#makeImage(size, piece);
  }

  async #makeImage(size: number, piece: number): Promise<string> {
    this.#imageFolder = await Deno.makeTempDir({ prefix: "hvsh-bench.", dir: imageFolder() });
    const path = join(this.#imageFolder, "disk.img");
    using file = await Deno.open(path, { write: true, create: true });
    const bytes = new Uint8Array(piece);
    for (let at = 0; at < bytes.length; at += 65536) {
      crypto.getRandomValues(bytes.subarray(at, at + 65536));
    }
    for (let at = 0; at < size; at += piece) await file.write(bytes);
    await file.syncData();
    return path;
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
    if (this.#imageFolder !== undefined) {
      await Deno.remove(this.#imageFolder, { recursive: true });
    }
  }
}

function imageFolder(): string {
  return IMAGE_FOLDERS.find((folder) => statfsSync(folder).type !== TMPFS) ?? IMAGE_FOLDERS[0]!;
}

function findCompiler(): string | undefined {
  return findProgram("cc") ?? findProgram("gcc") ?? findProgram("clang");
}

async function compile(compiler: string, file: string, folder: string): Promise<string> {
  const source = fileURLToPath(new URL(file, SOURCES));
  const binary = join(folder, basename(file, ".c"));
  const args = ["-O2", "-pthread", "-o", binary, source];
  // Static starts sooner and is smaller in memory, but not every system has the library for it.
  const first = await new Deno.Command(compiler, { args: ["-static", ...args], stderr: "null" })
    .output();
  if (first.success) return binary;
  const second = await new Deno.Command(compiler, { args, stderr: "inherit" }).output();
  if (!second.success) throw new Error(`${compiler} cannot compile ${source}`);
  return binary;
}
