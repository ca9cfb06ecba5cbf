/**
 * What a guest's first process is told of the one command that it runs.
 *
 * @module
 */

/** A folder of the host that the guest is to mount. */
export interface MountedShare {
  /** The virtio-fs device's tag. */
  readonly tag: string;
  /** Where to mount it: its path on the host. */
  readonly path: string;
  readonly readonly: boolean;
}

/** A command and what it runs in. */
export interface GuestCommand {
  /** Its words. */
  readonly argv: readonly string[];
  /** Its environment, `NAME=VALUE`. */
  readonly env: readonly string[];
  /** Where it is looked for: folders with colons between them. */
  readonly path: string;
  /** The folder that it runs in. */
  readonly cwd: string;
  /** What `uname -n` says. */
  readonly hostname: string;
  /** The share that is the root. */
  readonly root: MountedShare;
  /** What is mounted over it, in this order. */
  readonly shares: readonly MountedShare[];
  /** Folders that are the guest's own, in memory, and empty at first. */
  readonly ownFolders: readonly string[];
  /** Files of the first file system that hold modules, in the order of loading. */
  readonly modules: readonly string[];
  /** Its stdin and stdout are the console, a terminal. */
  readonly terminal: boolean;
  /** Its stderr is a stream of its own; without a terminal it always is. */
  readonly stderr: boolean;
}

/** The ports of the console, by number from 1; the last tells that those before it are connected. */
export const COMMAND_PORTS = ["stdin", "stdout", "stderr", "ready"] as const;

/** Something that can go wrong before the command runs. */
export interface InitStep {
  /** What could not be done, `mount the host's files`. */
  readonly what: string;
  /** Options of the kernel that it takes, without `CONFIG_`. */
  readonly options: readonly string[];
}
