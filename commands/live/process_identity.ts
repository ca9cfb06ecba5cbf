/**
 * Processes that can be told from others, also from those of another host.
 *
 * @module
 */
import { HostError } from "../../ffi/errors.ts";
import { readTextFile } from "../../ffi/files.ts";

/** Which process it is. */
export interface ProcessIdentity {
  /** The host, since it was started. */
  readonly boot: string;
  /** The namespace that the number is of. */
  readonly namespace: string;
  readonly pid: number;
  /** When the process began, in ticks since the host did: a number is given to others later. */
  readonly start: string;
}

/** Fields of `/proc/PID/stat` behind the program's name, which may have blanks in it (proc_pid_stat(5)). */
const STATE = 0;
const START = 19;
/** States of processes that have ended: Z until its parent hears of it, X for a moment then. */
const ENDED = /^[ZX]$/;

/** This process. */
export function ownIdentity(): ProcessIdentity {
  return { ...place(), pid: Deno.pid, start: status(Deno.pid)![START]! };
}

/**
 * Whether a process is still there.
 *
 * @param process What it said of itself, or anything else
 * @returns Undefined if that can't be known here
 */
export function lives(process: unknown): boolean | undefined {
  const { boot, namespace, pid, start } = (process ?? {}) as Partial<ProcessIdentity>;
  const here = place();
  if (boot !== here.boot || namespace !== here.namespace || !Number.isSafeInteger(pid)) {
    return undefined;
  }
  const fields = status(pid!);
  return fields !== undefined && fields[START] === start && !ENDED.test(fields[STATE]!);
}

function place() {
  return {
    boot: readTextFile("/proc/sys/kernel/random/boot_id").trim(),
    namespace: Deno.readLinkSync("/proc/self/ns/pid"),
  };
}

function status(pid: number): string[] | undefined {
  try {
    const text = readTextFile(`/proc/${pid}/stat`);
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    if (error instanceof HostError) return undefined; // there is no such process
    throw error;
  }
}
