/**
 * The system calls that a guest's first process makes, and their flags: the kernel's own numbers for
 * x86-64 (arch/x86/entry/syscalls/syscall_64.tbl and include/uapi).
 *
 * @module
 */

/** Numbers of system calls. */
export const Sys = {
  read: 0,
  write: 1,
  open: 2,
  close: 3,
  ioctl: 16,
  dup2: 33,
  pause: 34,
  nanosleep: 35,
  socket: 41,
  clone: 56,
  fork: 57,
  execve: 59,
  exit: 60,
  kill: 62,
  chdir: 80,
  mkdir: 83,
  symlink: 88,
  setsid: 112,
  chroot: 161,
  sync: 162,
  mount: 165,
  reboot: 169,
  sethostname: 170,
  ioperm: 173,
  futex: 202,
  waitid: 247,
  dup3: 292,
  pipe2: 293,
  finit_module: 313,
} as const;

/** Flags of open(2). */
export const Open = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  NOCTTY: 0o400,
  CLOEXEC: 0o2000000,
} as const;

/** Flags of mount(2). */
export const Mount = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, MOVE: 8192 } as const;

/** Flags of clone(2) for a thread that says where it can be waited for. */
export const CLONE_THREAD_FLAGS = 0x100 | 0x200 | 0x400 | 0x800 | // VM, FS, FILES, SIGHAND
  0x1_0000 | 0x4_0000 | // THREAD, SYSVSEM
  0x10_0000 | 0x20_0000; // PARENT_SETTID, CHILD_CLEARTID

/** waitid(2): any child, once it has ended; and where `siginfo_t` has what it tells of it. */
export const Wait = {
  P_ALL: 0,
  WEXITED: 4,
  SIGINFO_BYTES: 128,
  SI_CODE: 8,
  SI_PID: 16,
  SI_STATUS: 24,
  CLD_EXITED: 1,
} as const;

/** reboot(2)'s magic numbers. */
export const Reboot = {
  MAGIC1: 0xfee1dead,
  MAGIC2: 672274793,
  CMD_POWER_OFF: 0x4321fedc,
} as const;

/** ioctl(2): waits until a terminal's output is out, as tcdrain(3); and an interface's flags. */
export const Ioctl = { TCSBRK: 0x5409, SIOCSIFFLAGS: 0x8914 } as const;

/** socket(2): the protocol family of IPv4. */
export const AF_INET = 2;
/** socket(2): datagrams. */
export const SOCK_DGRAM = 2;
/** futex(2): waits while a word has a value. */
export const FUTEX_WAIT = 0;
/** The signal that nobody can ignore. */
export const SIGKILL = 9;
