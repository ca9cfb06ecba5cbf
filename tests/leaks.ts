/**
 * What a test may leave behind: open files, processes, files in a folder.
 *
 * @module
 */
import assert from "node:assert/strict";

/**
 * What a process has open, as `/proc/PID/fd` shows it, sorted; the listing's own descriptor is left out.
 *
 * @param pid Which process; this one if left out
 */
export function openFiles(pid = Deno.pid): string[] {
  const folder = `/proc/${pid}/fd`;
  const targets: string[] = [];
  for (const { name } of [...Deno.readDirSync(folder)]) {
    try {
      targets.push(Deno.readLinkSync(`${folder}/${name}`));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // the listing's, or closed just now
    }
  }
  return targets.sort();
}

/**
 * Fails if something is open that was not before, or the other way round. Only a socket may have gone: Deno
 * closes those of a test before it when their last read has come back.
 *
 * @param before What {@linkcode openFiles} gave
 */
export function nothingOpenedSince(before: readonly string[]): void {
  const now = openFiles();
  const lateSocket = (target: string) => target.startsWith("socket:") && !now.includes(target);
  assert.deepEqual(now, before.filter((target) => !lateSocket(target)), "files are left open");
}

/** Not a source file of a folder `kvm`, which a thread may just be loading. */
const VM_FILE = /^(anon_inode:\[?kvm|\/dev\/kvm|\/memfd:hvsh)/;

/** Those of {@linkcode openFiles} that belong to VMs: KVM's own and guest memory. */
export function openVmFiles(): string[] {
  return openFiles().filter((target) => VM_FILE.test(target));
}

/** Ends a process at once, unless it has ended by itself meanwhile. */
export function killIfThere(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The variable by which {@linkcode processesOf} knows the processes of a test. */
export const MARK = "HVSH_TEST_MARK";

/**
 * The processes, children of children too, that were started with a mark in their environment.
 *
 * @param mark The value of {@linkcode MARK}
 * @returns Their numbers and command lines; dead ones that nobody waited for are not among them
 */
export function processesOf(mark: string): { pid: number; command: string }[] {
  const found: { pid: number; command: string }[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const variables = Deno.readTextFileSync(`/proc/${name}/environ`).split("\0");
      if (!variables.includes(`${MARK}=${mark}`)) continue;
      const command = Deno.readTextFileSync(`/proc/${name}/cmdline`).replaceAll("\0", " ");
      found.push({ pid: Number(name), command });
    } catch {
      // It ended meanwhile, or it is another user's.
    }
  }
  return found;
}

/**
 * Every file and folder below a folder.
 *
 * @param folder Where to look
 * @returns Paths relative to it, sorted; empty if it is not there
 */
export function filesBelow(folder: string): string[] {
  const paths: string[] = [];
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(`${folder}/${path}`)) {
      paths.push(path + name);
      if (isDirectory) walk(`${path}${name}/`);
    }
  };
  try {
    walk("");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return paths.sort();
}
