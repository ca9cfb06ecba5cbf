/**
 * Where a tree is mounted: by mount(2) for root, by fusermount3 for everybody else.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { HostError, VmError } from "../../ffi/errors.ts";
import { closeFile } from "../../ffi/files.ts";
import { makeNonBlocking, mountFuse, openFuse, unmount } from "../../ffi/fuse_device.ts";
import { receiveDescriptor } from "../../ffi/received_descriptor.ts";
import { keepOnExec, socketPair } from "../../ffi/unix_socket.ts";
import { hostErrno } from "../host_errno.ts";
import { runRoot } from "../live/run_directory.ts";

const NAME = "hvsh";
const TYPE = `fuse.${NAME}`;
const HELPER = "fusermount3";
const OPTIONS = `rw,nosuid,nodev,noexec,default_permissions,fsname=${NAME},subtype=${NAME}`;

/**
 * Mounts.
 *
 * @param path An existing folder, absolute
 * @returns The kernel's side, non-blocking
 * @throws {HostError} If this host or its folder refuses
 * @throws {VmError} If a tree is mounted there already
 */
export async function mountAt(path: string): Promise<number> {
  await clear(path);
  try {
    return await attach(path);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    const hint = error.hint === undefined ? "" : `${error.hint}; `;
    throw new HostError(error.syscall, error.errno, {
      ...(error.path === undefined ? {} : { path: error.path }),
      cause: error,
      hint: `${hint}without a mount, live VMs' plain files are in ${runRoot()}/NAME`,
    });
  }
}

async function attach(path: string): Promise<number> {
  if (Deno.uid() !== 0) return await mountByHelper(path);
  const fd = openFuse();
  try {
    mountFuse(fd, path, { source: NAME, subtype: NAME });
    return fd;
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/**
 * Takes the tree away from its place; whoever has a file of it open keeps that until it is closed.
 *
 * @param path Where it is mounted
 * @throws {VmError} If no tree of ours is there
 */
export async function unmountAt(path: string): Promise<void> {
  if (!isMounted(path)) {
    throw new VmError(`${path}: no tree of hvsh is mounted there`, {
      hint: "grep fuse.hvsh /proc/self/mounts",
    });
  }
  await takeAway(path);
}

/** Whether a tree of ours is mounted there, served or left behind. */
function isMounted(path: string): boolean {
  const mounts = Deno.readTextFileSync("/proc/self/mountinfo").trimEnd().split("\n");
  return mounts.some((line) => {
    const [place, rest = ""] = line.split(" - ");
    const [type] = rest.split(" ");
    return type === TYPE && unescapeOctal(place!.split(" ")[4] ?? "") === path;
  });
}

/** Spaces and the like stand as `\040` in there (proc(5)). */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}

/** Looks that there is a folder; takes away what a mounter left that was killed. */
async function clear(path: string): Promise<void> {
  for (let left = 0;; left++) {
    try {
      if (!(await Deno.stat(path)).isDirectory) {
        throw new VmError(`${path} is no folder`, { hint: "mkdir DIR; hvsh mount DIR" });
      }
    } catch (error) {
      const code = hostErrno(error);
      if (error instanceof Deno.errors.NotFound) {
        throw new VmError(`${path}: there is no such folder`, { hint: `mkdir -p ${path}` });
      }
      if (code !== Errno.ENOTCONN || left > 0) throw error;
      await takeAway(path);
      continue;
    }
    if (!isMounted(path)) return;
    throw new VmError(`${path}: a tree of hvsh is mounted there already`, {
      hint: `hvsh mount --unmount ${path}`,
    });
  }
}

async function takeAway(path: string): Promise<void> {
  if (Deno.uid() === 0) return unmount(path);
  await runHelper(["-u", "-z", "--", path]);
}

async function runHelper(args: readonly string[], env: Record<string, string> = {}): Promise<void> {
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command(HELPER, { args: [...args], env, stdin: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new HostError("mount", Errno.EPERM, {
      cause: error,
      hint: `only root mounts without ${HELPER}: sudo apt-get install fuse3`,
    });
  }
  if (output.success) return;
  const said = new TextDecoder().decode(output.stderr).trim();
  const device = said.includes("/dev/fuse") ? "sudo chmod 666 /dev/fuse; " : "";
  throw new VmError(said === "" ? `${HELPER} failed with status ${output.code}` : said, {
    hint: `${device}without a mount, live VMs' plain files are in ${runRoot()}/NAME`,
  });
}

/** It opens /dev/fuse and mounts it for us, and hands the descriptor over. */
async function mountByHelper(path: string): Promise<number> {
  const [theirs, ours] = socketPair();
  try {
    try {
      keepOnExec(theirs);
      await runHelper(["-o", OPTIONS, "--", path], { _FUSE_COMMFD: String(theirs) });
    } finally {
      closeFile(theirs);
    }
    const fd = receiveDescriptor(ours);
    if (fd === undefined) throw new VmError(`${HELPER} mounted ${path} and handed nothing over`);
    makeNonBlocking(fd);
    return fd;
  } finally {
    closeFile(ours);
  }
}
