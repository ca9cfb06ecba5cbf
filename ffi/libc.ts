/**
 * The C library's symbols, opened on first use so that `hvsh help` loads nothing, and errno, read
 * at once after the call that set it.
 *
 * Every call goes through {@linkcode check} or looks at {@linkcode errno} itself; between a failing
 * call and that look no other libc call may stand in the same thread.
 *
 * @module
 */
import { HostError, type HostErrorOptions } from "./errors.ts";

// Deno's FFI passes variadic arguments like fixed ones, which is what the System V x86-64 and the
// AAPCS64 Linux ABIs do for integers and pointers.
const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" }, // int *__errno_location(void)
  open: { parameters: ["buffer", "i32", "u32"], result: "i32" }, // int open(const char *, int flags, mode_t)
  close: { parameters: ["i32"], result: "i32" }, // int close(int)
  ioctl: { parameters: ["i32", "u32", "u64"], result: "i32" }, // int ioctl(int, unsigned long, unsigned long)
  kvm_run: { name: "ioctl", parameters: ["i32", "u32", "i32"], result: "i32" }, // the same with no bigint on the way
  ioctl_pointer: { name: "ioctl", parameters: ["i32", "u32", "buffer"], result: "i32" }, // …, void *
  mmap: { parameters: ["u64", "usize", "i32", "i32", "i32", "i64"], result: "pointer" }, // void *mmap(void *, size_t, int, int, int fd, off_t)
  munmap: { parameters: ["pointer", "usize"], result: "i32" }, // int munmap(void *, size_t)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" }, // ssize_t read(int, void *, size_t)
  write: { parameters: ["i32", "buffer", "usize"], result: "isize" }, // ssize_t write(int, const void *, size_t)
  signal: { parameters: ["i32", "pointer"], result: "pointer" }, // sighandler_t signal(int, sighandler_t)
  abs: { type: "pointer" }, // int (*)(int), its address
  pthread_sigmask: { parameters: ["i32", "buffer", "pointer"], result: "i32" }, // int pthread_sigmask(int how, const sigset_t *, sigset_t *)
  gettid: { parameters: [], result: "i32" }, // pid_t gettid(void)
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" }, // int clock_gettime(clockid_t, struct timespec *)
  getpid: { parameters: [], result: "i32" }, // pid_t getpid(void)
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" }, // int getrlimit(int resource, struct rlimit *)
  tgkill: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int tgkill(pid_t, pid_t, int)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *, unsigned)
  ftruncate: { parameters: ["i32", "i64"], result: "i32" }, // int ftruncate(int, off_t)
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" }, // int fallocate(int, int, off_t, off_t)
  madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" }, // int madvise(void *, size_t, int)
  pread: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" }, // ssize_t pread(int, void *, size_t, off_t)
  pwrite: { parameters: ["i32", "buffer", "usize", "i64"], result: "isize" }, // ssize_t pwrite(int, const void *, size_t, off_t)
  lseek: { parameters: ["i32", "i64", "i32"], result: "i64" }, // off_t lseek(int, off_t, int)
  eventfd: { parameters: ["u32", "i32"], result: "i32" }, // int eventfd(unsigned, int flags)
  epoll_create1: { parameters: ["i32"], result: "i32" }, // int epoll_create1(int flags)
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int epoll_ctl(int, int op, int fd, struct epoll_event *)
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" }, // int epoll_wait(int, struct epoll_event *, int, int ms)
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" }, // int timerfd_create(int clock, int flags)
  timerfd_settime: { parameters: ["i32", "i32", "buffer", "buffer"], result: "i32" }, // int timerfd_settime(int, int, const struct itimerspec *, struct itimerspec *)
  timer_create: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int timer_create(clockid_t, struct sigevent *, timer_t *)
  timer_settime: { parameters: ["u64", "i32", "buffer", "buffer"], result: "i32" }, // int timer_settime(timer_t, int, const struct itimerspec *, struct itimerspec *)
  timer_delete: { parameters: ["u64"], result: "i32" }, // int timer_delete(timer_t)
  readv: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t readv(int, const struct iovec *, int); below 2 GiB, its low half says it all
  writev: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t writev(int, const struct iovec *, int)
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int socket(int domain, int type, int protocol)
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" }, // int getsockname(int, struct sockaddr *, socklen_t *)
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" }, // int getsockopt(int, int level, int name, void *, socklen_t *)
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int connect(int, const struct sockaddr *, socklen_t)
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" }, // int socketpair(int domain, int type, int protocol, int fds[2])
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" }, // int fcntl(int, int command, int)
  dup2: { parameters: ["i32", "i32"], result: "i32" }, // int dup2(int, int)
  pipe2: { parameters: ["buffer", "i32"], result: "i32" }, // int pipe2(int fds[2], int flags)
  setns: { parameters: ["i32", "i32"], result: "i32" }, // int setns(int, int nstype)
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int bind(int, const struct sockaddr *, socklen_t)
  listen: { parameters: ["i32", "i32"], result: "i32" }, // int listen(int, int backlog)
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" }, // int accept4(int, struct sockaddr *, socklen_t *, int flags)
  shutdown: { parameters: ["i32", "i32"], result: "i32" }, // int shutdown(int, int how)
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" }, // ssize_t recv(int, void *, size_t, int flags)
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "isize" }, // ssize_t send(int, const void *, size_t, int flags)
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t sendmsg(int, const struct msghdr *, int flags); below 2 GiB, as readv
  fchmod: { parameters: ["i32", "u32"], result: "i32" }, // int fchmod(int, mode_t)
  io_uring_setup: { name: "syscall", parameters: ["u64", "u32", "buffer"], result: "i32" }, // long syscall(SYS_io_uring_setup, unsigned entries, struct io_uring_params *)
  io_uring_enter: {
    name: "syscall",
    parameters: ["u64", "i32", "u32", "u32", "u32", "pointer", "usize"],
    result: "i32",
  }, // long syscall(SYS_io_uring_enter, int, unsigned to_submit, unsigned min_complete, unsigned flags, const void *, size_t)
  io_uring_register: {
    name: "syscall",
    parameters: ["u64", "i32", "u32", "buffer", "u32"],
    result: "i32",
  }, // long syscall(SYS_io_uring_register, int, unsigned opcode, void *, unsigned nr_args)
  preadv: { parameters: ["i32", "u64", "i32", "i64"], result: "i32" }, // ssize_t preadv(int, const struct iovec *, int, off_t); below 2 GiB
  pwritev: { parameters: ["i32", "u64", "i32", "i64"], result: "i32" }, // ssize_t pwritev(int, const struct iovec *, int, off_t)
  fdatasync: { parameters: ["i32"], result: "i32" }, // int fdatasync(int)
  fdatasync_slow: { name: "fdatasync", parameters: ["i32"], result: "i32", nonblocking: true }, // the same in a thread of Deno's pool, without errno
  copy_file_range: {
    parameters: ["i32", "buffer", "i32", "buffer", "usize", "u32"],
    result: "i32",
  }, // ssize_t copy_file_range(int, off_t *, int, off_t *, size_t, unsigned); below 2 GiB
  fcntl_lock: { name: "fcntl", parameters: ["i32", "i32", "buffer"], result: "i32" }, // int fcntl(int, int command, struct flock *)
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" }, // int statx(int dirfd, const char *, int flags, unsigned mask, struct statx *)
  openat: { parameters: ["i32", "buffer", "i32", "u32"], result: "i32" }, // int openat(int dirfd, const char *, int flags, mode_t)
  openat2: {
    name: "syscall",
    parameters: ["u64", "i32", "buffer", "buffer", "usize"],
    result: "i32",
  }, // long syscall(SYS_openat2, int dirfd, const char *, const struct open_how *, size_t)
  mkdirat: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int mkdirat(int dirfd, const char *, mode_t)
  mkfifoat: { parameters: ["i32", "buffer", "u32"], result: "i32" }, // int mkfifoat(int dirfd, const char *, mode_t)
  mknodat: {
    name: "syscall", // glibc has a function of this name since 2.33
    parameters: ["u64", "i32", "buffer", "u32", "u64"],
    result: "i32",
  }, // long syscall(SYS_mknodat, int dirfd, const char *, mode_t, dev_t)
  symlinkat: { parameters: ["buffer", "i32", "buffer"], result: "i32" }, // int symlinkat(const char *target, int dirfd, const char *)
  readlinkat: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i32" }, // ssize_t readlinkat(int dirfd, const char *, char *, size_t); at most PATH_MAX
  unlinkat: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // int unlinkat(int dirfd, const char *, int flags)
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" }, // int renameat2(int, const char *, int, const char *, unsigned flags)
  linkat: { parameters: ["i32", "buffer", "i32", "buffer", "i32"], result: "i32" }, // int linkat(int, const char *, int, const char *, int flags)
  fchmodat: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" }, // int fchmodat(int dirfd, const char *, mode_t, int flags)
  faccessat: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" }, // int faccessat(int dirfd, const char *, int mode, int flags)
  utimensat: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" }, // int utimensat(int dirfd, const char *, const struct timespec[2], int flags)
  getdents64: { parameters: ["i32", "buffer", "usize"], result: "i32" }, // ssize_t getdents64(int, void *, size_t); below 2 GiB
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" }, // int fstatfs(int, struct statfs *)
  fsync: { parameters: ["i32"], result: "i32" }, // int fsync(int)
  syncfs: { parameters: ["i32"], result: "i32" }, // int syncfs(int)
  geteuid: { parameters: [], result: "u32" }, // uid_t geteuid(void)
  getrandom: { parameters: ["buffer", "usize", "u32"], result: "isize" }, // ssize_t getrandom(void *, size_t, unsigned flags)
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" }, // int poll(struct pollfd *, nfds_t, int ms)
  tcgetattr: { parameters: ["i32", "buffer"], result: "i32" }, // int tcgetattr(int, struct termios *)
  getegid: { parameters: [], result: "u32" }, // gid_t getegid(void)
  userfaultfd: { name: "syscall", parameters: ["u64", "i32"], result: "i32" }, // long syscall(SYS_userfaultfd, int flags)
  mount: { parameters: ["buffer", "buffer", "buffer", "u64", "buffer"], result: "i32" }, // int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data)
  umount2: { parameters: ["buffer", "i32"], result: "i32" }, // int umount2(const char *target, int flags)
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // ssize_t recvmsg(int, struct msghdr *, int flags); below 2 GiB, as readv
  poll_slow: {
    name: "poll",
    parameters: ["buffer", "u64", "i32"],
    result: "i32",
    nonblocking: true,
  }, // the same in a thread of Deno's pool, without errno
  open_slow: {
    name: "open",
    parameters: ["buffer", "i32", "u32"],
    result: "i32",
    nonblocking: true,
  }, // of a FIFO, which waits for its other side: in a thread of Deno's pool, without errno
  posix_spawn: {
    parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"],
    result: "i32",
  }, // int posix_spawn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const argv[], char *const envp[])
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *)
  posix_spawn_file_actions_destroy: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *)
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int, int)
  posix_spawn_file_actions_addclose: { parameters: ["buffer", "i32"], result: "i32" }, // int …(posix_spawn_file_actions_t *, int)
  posix_spawn_file_actions_addchdir_np: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawn_file_actions_t *, const char *)
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawnattr_t *)
  posix_spawnattr_destroy: { parameters: ["buffer"], result: "i32" }, // int …(posix_spawnattr_t *)
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" }, // int …(posix_spawnattr_t *, short)
  posix_spawnattr_setpgroup: { parameters: ["buffer", "i32"], result: "i32" }, // int …(posix_spawnattr_t *, pid_t)
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawnattr_t *, const sigset_t *)
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" }, // int …(posix_spawnattr_t *, const sigset_t *)
  waitpid: { parameters: ["i32", "buffer", "i32"], result: "i32" }, // pid_t waitpid(pid_t, int *status, int options)
  kill: { parameters: ["i32", "i32"], result: "i32" }, // int kill(pid_t, int signal)
} as const satisfies Deno.ForeignLibraryInterface;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/** glibc first, then musl's name for the same. */
const LIBRARIES = ["libc.so.6", "libc.so"];

/**
 * The C library. Each symbol is opened on its first use: opening one takes 0.1 ms, so a table opened
 * whole would cost more than a small VM's life.
 */
export const libc: Libc = {} as Libc;

for (const name of Object.keys(SYMBOLS) as (keyof typeof SYMBOLS)[]) {
  Object.defineProperty(libc, name, {
    configurable: true,
    enumerable: true,
    get() {
      const value = open(name);
      Object.defineProperty(libc, name, { value });
      return value;
    },
  });
}

function open(name: keyof typeof SYMBOLS): unknown {
  for (const [i, library] of LIBRARIES.entries()) {
    try {
      const symbols = Deno.dlopen(library, { [name]: SYMBOLS[name] }).symbols;
      return (symbols as Record<string, unknown>)[name];
    } catch (error) {
      if (i === LIBRARIES.length - 1) throw error;
    }
  }
  return undefined;
}

let errnoWord: Int32Array | undefined;

/**
 * The calling thread's errno.
 *
 * @returns A positive error number, as the last failing call left it
 */
export function errno(): number {
  // The location is the thread's own and never moves, so one view serves the isolate's life.
  errnoWord ??= new Int32Array(
    Deno.UnsafePointerView.getArrayBuffer(libc.__errno_location()!, 4),
  );
  return errnoWord[0]!;
}

/**
 * Turns a call's failure into an error.
 *
 * @param result What the call returned; negative means that it failed
 * @param syscall Its name, for the message
 * @param options The path concerned and the next step
 * @returns The result
 * @throws {HostError} If the result is negative
 */
export function check<R extends number | bigint>(
  result: R,
  syscall: string,
  options?: HostErrorOptions,
): R {
  if (result < 0) throw new HostError(syscall, errno(), options);
  return result;
}

const encoder = new TextEncoder();

/**
 * A C string.
 *
 * @param text Text without a NUL
 * @returns Its UTF-8 bytes with a NUL behind them
 * @throws {TypeError} If it holds a NUL itself
 */
export function cString(text: string): Uint8Array<ArrayBuffer> {
  if (text.includes("\0")) throw new TypeError(`"${text.replaceAll("\0", "\\0")}" holds a NUL`);
  return encoder.encode(text + "\0");
}
