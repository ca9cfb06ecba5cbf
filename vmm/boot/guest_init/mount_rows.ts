/**
 * The part of a guest's first process that makes the host's files its root, with what a Linux system has
 * besides: /proc, /sys, /dev, and folders of its own.
 *
 * @module
 */
import type { GuestCommand, MountedShare } from "./guest_command.ts";
import type { Place } from "./init_program.ts";
import type { InitRows } from "./init_rows.ts";
import { AF_INET, Ioctl, Mount, Open, SOCK_DGRAM, Sys } from "./syscalls.ts";

/** Where the root is put together; a folder of the first file system. */
export const NEW_ROOT = "/hvsh/root";

/** What of a system's usual mounts this kernel has. The first of them must be there. */
const SYSTEM: readonly (readonly [type: string, path: string, flags: number, options: string])[] = [
  ["proc", "/proc", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["sysfs", "/sys", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["cgroup2", "/sys/fs/cgroup", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["bpf", "/sys/fs/bpf", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["securityfs", "/sys/kernel/security", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["debugfs", "/sys/kernel/debug", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["tracefs", "/sys/kernel/tracing", Mount.NOSUID | Mount.NODEV | Mount.NOEXEC, ""],
  ["devpts", "/dev/pts", Mount.NOSUID | Mount.NOEXEC, "gid=5,mode=620,ptmxmode=666"],
  ["tmpfs", "/dev/shm", Mount.NOSUID | Mount.NODEV, "mode=1777"],
];

/** What shells and programs expect below /dev, which devtmpfs leaves to user space. */
const LINKS = [
  ["/proc/self/fd", "/dev/fd"],
  ["/proc/self/fd/0", "/dev/stdin"],
  ["/proc/self/fd/1", "/dev/stdout"],
  ["/proc/self/fd/2", "/dev/stderr"],
] as const;

const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;
const IFF_UP = 1;

/**
 * Adds the rows that mount everything, and enter the command's folder.
 *
 * @param rows The first process
 * @param command What it is to run
 */
export function mountRows(rows: InitRows, command: GuestCommand): void {
  const { program } = rows;
  const text = (words: string) => program.text(words);
  const { root, shares, ownFolders, cwd } = command;
  rows.must(Sys.mount, [text(root.tag), text(NEW_ROOT), text("virtiofs"), flagsOf(root)], {
    what: "mount the host's files",
    options: ["VIRTIO_PCI", "FUSE_FS", "VIRTIO_FS"],
  });
  const dev = [text("dev"), text(`${NEW_ROOT}/dev`), text("devtmpfs"), Mount.NOSUID];
  rows.must(Sys.mount, dev, { what: "mount /dev", options: ["DEVTMPFS"] });
  const enter = { what: "make the host's files the root", options: [] };
  rows.must(Sys.chdir, [text(NEW_ROOT)], enter);
  rows.must(Sys.mount, [text("."), text("/"), 0, Mount.MOVE], enter);
  rows.must(Sys.chroot, [text(".")], enter);
  for (const folder of ["/dev/pts", "/dev/shm"]) program.call(Sys.mkdir, [text(folder), 0o755]);
  for (const [type, path, flags, options] of SYSTEM) {
    program.call(Sys.mount, [text(type), text(path), text(type), flags, text(options)]);
  }
  for (const [target, path] of LINKS) program.call(Sys.symlink, [text(target), text(path)]);
  const memory = text("tmpfs");
  for (const path of ownFolders) {
    const where = [memory, text(path), memory, Mount.NOSUID | Mount.NODEV, text("mode=1777")];
    rows.must(Sys.mount, where, { what: `make ${path} the guest's own`, options: ["TMPFS"] });
  }
  for (const share of shares) {
    for (const path of missingFolders(share.path, ownFolders)) {
      program.call(Sys.mkdir, [text(path), 0o755]);
    }
    rows.must(Sys.mount, [text(share.tag), text(share.path), text("virtiofs"), flagsOf(share)], {
      what: `mount ${share.path}`,
      options: ["VIRTIO_PCI", "VIRTIO_FS"],
    });
  }
  program.call(Sys.sethostname, [text(command.hostname), command.hostname.length]);
  raiseLoopback(rows);
  rows.must(Sys.chdir, [text(cwd)], { what: `enter the folder ${cwd}`, options: [] });
}

function flagsOf({ readonly }: MountedShare): number {
  return readonly ? Mount.RDONLY : 0;
}

/** The folders above a path, and itself, that have to be made in a folder which is empty at first. */
function missingFolders(path: string, ownFolders: readonly string[]): string[] {
  const own = ownFolders.find((folder) => path.startsWith(`${folder}/`));
  if (own === undefined) return [];
  const names = path.slice(own.length + 1).split("/");
  return names.map((_, i) => `${own}/${names.slice(0, i + 1).join("/")}`);
}

/** A kernel without networks can't, and needn't. */
function raiseLoopback(rows: InitRows): void {
  const { program } = rows;
  const request = new Uint8Array(IFREQ_BYTES); // struct ifreq: ifr_name, ifr_flags (netdevice(7))
  request.set(new TextEncoder().encode("lo"));
  new DataView(request.buffer).setUint16(IFNAMSIZ, IFF_UP, true);
  const place: Place = program.bytes(request);
  program.call(Sys.socket, [AF_INET, SOCK_DGRAM | Open.CLOEXEC, 0], { store: rows.last });
  rows.copyDescriptor(rows.last, SOCKET);
  program.call(Sys.ioctl, [SOCKET, Ioctl.SIOCSIFFLAGS, place]);
  program.call(Sys.close, [SOCKET]);
}

/** Its descriptor while it is needed; if there was none, that number is free and the calls fail. */
const SOCKET = 100;
