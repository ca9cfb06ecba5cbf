/**
 * Network namespaces (network_namespaces(7)): one thread goes into one and comes back.
 *
 * @module
 */
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { check, libc } from "./libc.ts";

const CLONE_NEWNET = 0x40000000;
const OWN = "/proc/thread-self/ns/net";

/**
 * Does something in a network namespace. Sockets and taps that are opened there stay there. setns(2)
 * moves the calling thread alone, and since nothing here waits, no other work of this thread ever
 * sees the other namespace.
 *
 * @param path The namespace's file, `/run/netns/NAME` or `/proc/PID/ns/net`
 * @param work What to do, without waiting
 * @returns What it gives
 * @throws {HostError} If there is no such namespace, or the thread may not go there
 */
export function inNetworkNamespace<T>(path: string, work: () => T): T {
  const own = openFile(OWN, OpenFlag.RDONLY);
  try {
    const other = openFile(path, OpenFlag.RDONLY);
    try {
      check(libc.setns(other, CLONE_NEWNET), "setns", {
        path,
        hint: "it wants the file of a network namespace, /run/netns/NAME, and CAP_SYS_ADMIN",
      });
    } finally {
      closeFile(other);
    }
    try {
      return work();
    } finally {
      check(libc.setns(own, CLONE_NEWNET), "setns", { path: OWN });
    }
  } finally {
    closeFile(own);
  }
}
