/**
 * The file in which an owner says how its VM is: a line a key, so that `cat` and `grep` read it, and so
 * that a list of a hundred VMs wakes none of their processes.
 *
 *     pid 812
 *     state paused
 *     reason breakpoint
 *
 * @module
 */
import type { Handle } from "./owner.ts";
import type { RunDirectory } from "./run_directory.ts";

const PLAIN = /^[ -~]*$/;

/** Keeps one VM's file. */
export class StatusFile {
  readonly #path: string;
  #text = "";

  /**
   * @param directory The VM's folder
   */
  constructor({ status }: RunDirectory) {
    this.#path = status;
  }

  /**
   * Says how the VM is. Where there is no room for that the file goes, and who looks has to ask.
   *
   * @param handle The VM's handle now
   */
  write({ live: _, ...handle }: Handle): void {
    const text = Object.entries(handle).map(([key, value]) => `${key} ${asText(value)}\n`).join("");
    if (text === this.#text) return;
    try {
      // Written beside and renamed: a reader sees all of it or nothing.
      Deno.writeTextFileSync(`${this.#path}.new`, text, { mode: 0o600 });
      Deno.renameSync(`${this.#path}.new`, this.#path);
      this.#text = text;
    } catch {
      this.#text = "";
      this.#remove();
    }
  }

  #remove(): void {
    try {
      Deno.removeSync(this.#path);
    } catch {
      // It is not there.
    }
  }
}

/**
 * Reads how a VM is.
 *
 * @param directory The VM's folder
 * @returns Its handle; undefined if the file does not say
 */
export function readStatus({ name, status }: RunDirectory): Handle | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(status);
  } catch {
    return undefined;
  }
  const entries = text.split("\n").filter((line) => line !== "").map((line) => {
    const space = line.indexOf(" ");
    return [line.slice(0, space), asValue(line.slice(space + 1))] as const;
  });
  const handle: Record<string, unknown> = { live: name, ...Object.fromEntries(entries) };
  return typeof handle.pid === "number" && typeof handle.state === "string"
    ? handle as unknown as Handle
    : undefined;
}

/** Text stands as it is unless that could be taken for something else. */
function asText(value: unknown): string {
  const plain = typeof value === "string" && PLAIN.test(value) && asValue(value) === value;
  return plain ? value : JSON.stringify(value);
}

function asValue(text: string): unknown {
  if (!/^[-\d"[{tfn]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
