/**
 * The names of live VMs' symbols, for a shell that is asked for them again and again. Finding them takes
 * some tenths of a second of a CPU, which a shell with a person at it does not have: another hvsh looks, and
 * the names are there when Tab is pressed once more.
 *
 * @module
 */
import type { RunDirectory } from "../live/run_directory.ts";
import { readStatus } from "../live/status_file.ts";
import type { SymbolNames } from "./live_values.ts";

/** Kernel modules come and go: after so many milliseconds it is looked again, for the next who asks. */
const FRESH_MS = 60_000;

interface Known {
  /** The VM's process: another VM may have its name later. */
  readonly pid: number | undefined;
  readonly since: number;
  readonly names: Promise<readonly string[]>;
}

/** Symbols by VM. */
export class VmSymbolNames implements SymbolNames {
  readonly #known = new Map<string, Known>();
  readonly #read: (vm: string) => Promise<readonly string[]>;

  /** @param read Looks for a VM's symbols, in order of their names */
  constructor(read: (vm: string) => Promise<readonly string[]> = symbolsByProcess) {
    this.#read = read;
  }

  prepare(vm: RunDirectory): void {
    this.#names(vm).catch(() => {});
  }

  async starting(vm: RunDirectory, start: string): Promise<readonly string[]> {
    return (await this.#names(vm)).filter((name) => name.startsWith(start));
  }

  #names(vm: RunDirectory): Promise<readonly string[]> {
    const pid = readStatus(vm)?.pid;
    const known = this.#known.get(vm.name);
    const now = performance.now();
    if (known !== undefined && known.pid === pid) {
      if (now - known.since < FRESH_MS) return known.names;
      // What was found before serves until it has been looked again.
      this.#known.set(vm.name, { ...known, since: now });
      this.#read(vm.name).then(
        (found) => this.#known.set(vm.name, { pid, since: now, names: Promise.resolve(found) }),
        () => {}, // it may have ended
      );
      return known.names;
    }
    const names = this.#read(vm.name);
    this.#known.set(vm.name, { pid, since: now, names });
    names.catch(() => this.#known.delete(vm.name));
    return names;
  }
}

/** The same program, as this process runs it. */
async function symbolsByProcess(vm: string): Promise<readonly string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", "--quiet", Deno.mainModule],
      ...["completions", "values", "symbol", vm],
    ],
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "");
}
