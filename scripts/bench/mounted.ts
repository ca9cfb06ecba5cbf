/**
 * Files of a mounted tree, beside a file of the host's in memory: what a small read takes, how fast
 * memory comes, and how soon a word in `ctl` is obeyed.
 *
 * @module
 */
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { check, libc } from "../../ffi/libc.ts";
import { type Bench, resultsOf } from "./bench.ts";
import { type Contestant, interleave } from "./interleave.ts";
import type { BenchResult, Unit } from "./result.ts";
import type { Workbench } from "./workbench.ts";

const SMALL = 64;
const MIB = 2 ** 20;
const MEMORY = 256 * MIB;
/** jmp $ */
const SPIN = Uint8Array.of(0xeb, 0xfe);
const ROUNDS = { count: 30, warmUp: 3 };
/** Reads in one sample. */
const READS = 100;
const encoder = new TextEncoder();

/** Files of a mounted tree. */
export const mounted: Bench = {
  names: {
    "mount-read": "64 bytes of a mounted VM's memory by one pread(2)",
    "mount-open": "its file `status`: opened, read and closed",
    "mount-memory": "its memory, read 1 MiB at a time",
    "mount-ctl": "`echo pause > ctl`, and resume",
  },
  async run(bench, warn, isWanted) {
    if (Deno.uid() !== 0) {
      warn("only root mounts here: mount-* are left out");
      return [];
    }
    await using tree = await Tree.mount(bench);
    const rounds = { ...ROUNDS, signal: bench.signal };
    const results: BenchResult[] = [];
    const measure = async (name: string, unit: Unit, sample: (folder: string) => number) => {
      if (!isWanted(name)) return;
      const both: Contestant<number>[] = [
        { subject: "hvsh", measure: () => Promise.resolve(sample(tree.vm)) },
        { subject: "host", measure: () => Promise.resolve(sample(tree.plain)) },
      ];
      results.push(...resultsOf(name, unit, await interleave(both, rounds)));
    };
    await measure("mount-read", "us", (folder) => {
      using file = new OpenMemory(folder);
      return perCall(() => file.read(SMALL, 4096));
    });
    await measure("mount-open", "us", (folder) =>
      perCall(() => {
        const fd = openFile(`${folder}/status`, OpenFlag.RDONLY);
        check(libc.read(fd, BUFFER, BigInt(SMALL)), "read");
        closeFile(fd);
      }));
    await measure("mount-memory", "MB/s", (folder) => {
      using file = new OpenMemory(folder);
      const start = performance.now();
      for (let at = 0; at < MEMORY; at += MIB) file.read(MIB, at);
      return MEMORY / 1000 / (performance.now() - start);
    });
    await measure("mount-ctl", "ms", (folder) => {
      const start = performance.now();
      for (const word of ["pause\n", "resume\n"]) {
        const fd = openFile(`${folder}/ctl`, OpenFlag.WRONLY | OpenFlag.TRUNC);
        check(libc.write(fd, encoder.encode(word), BigInt(word.length)), "write");
        closeFile(fd);
      }
      return (performance.now() - start) / 2;
    });
    return results;
  },
};

const BUFFER = new Uint8Array(MIB);

/** Microseconds. */
function perCall(work: () => void): number {
  const start = performance.now();
  for (let i = 0; i < READS; i++) work();
  return (performance.now() - start) * 1000 / READS;
}

class OpenMemory implements Disposable {
  readonly #fd: number;

  constructor(folder: string) {
    this.#fd = openFile(`${folder}/memory`, OpenFlag.RDONLY);
  }

  read(size: number, position: number): void {
    check(libc.pread(this.#fd, BUFFER, BigInt(size), BigInt(position)), "pread");
  }

  [Symbol.dispose](): void {
    closeFile(this.#fd);
  }
}

/** A tree with one VM whose guest spins, its memory touched, and a folder of plain files like it. */
class Tree implements AsyncDisposable {
  readonly #bench: Workbench;
  readonly #folder = Deno.makeTempDirSync({ prefix: "hvsh-bench-mount." });
  /** In memory, as VMs' memory is. */
  readonly plain = Deno.makeTempDirSync({ prefix: "hvsh-bench-mount.", dir: "/dev/shm" });

  private constructor(bench: Workbench) {
    this.#bench = bench;
  }

  get vm(): string {
    return `${this.#folder}/tree/vms/web`;
  }

  static async mount(bench: Workbench): Promise<Tree> {
    const tree = new Tree(bench);
    const folder = tree.#folder;
    Deno.writeFileSync(`${folder}/spin.bin`, SPIN);
    Deno.mkdirSync(`${folder}/tree`);
    await tree.#hvsh("run", "-d", "-n", "web", "-m", `${MEMORY}`, "--flat", `${folder}/spin.bin`);
    await tree.#hvsh("mount", "-d", `${folder}/tree`);
    Deno.writeFileSync(`${tree.plain}/memory`, new Uint8Array(MEMORY).fill(1));
    for (const name of ["status", "ctl"]) {
      Deno.copyFileSync(`${tree.vm}/status`, `${tree.plain}/${name}`);
    }
    const fd = openFile(`${tree.vm}/memory`, OpenFlag.WRONLY);
    BUFFER.fill(1);
    // Not where its code is.
    for (let at = MIB; at < MEMORY; at += MIB) {
      check(libc.pwrite(fd, BUFFER, BigInt(MIB), BigInt(at)), "pwrite");
    }
    closeFile(fd);
    return tree;
  }

  async #hvsh(...args: string[]): Promise<void> {
    const { success, stderr } = await new Deno.Command(this.#bench.hvsh, {
      args,
      env: { XDG_RUNTIME_DIR: this.#folder, HVSH_DENO: Deno.execPath() },
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hvsh("mount", "--unmount", `${this.#folder}/tree`);
    await this.#hvsh("kill", "web");
    await this.#hvsh("wait", "web").catch(() => {}); // with 137, as it was killed
    for (const folder of [this.#folder, this.plain]) Deno.removeSync(folder, { recursive: true });
  }
}
