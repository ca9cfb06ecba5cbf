/**
 * Serves a tree at its place until it is taken away, or somebody ends it.
 *
 * @module
 */
import { Drafts } from "./drafts.ts";
import { ErrorLog } from "./error_log.ts";
import { FuseSession } from "./fuse_session.ts";
import { mountAt, unmountAt } from "./mount_point.ts";
import { rootFolder } from "./root_folder.ts";
import type { TreeState } from "./vm_place.ts";

/**
 * Mounts a tree and serves it.
 *
 * @param path An existing folder, absolute
 * @param ready Called once it is there
 * @param stop Aborts it
 */
export async function serveTree(
  path: string,
  ready: () => Promise<void> | void,
  stop: AbortSignal,
): Promise<void> {
  const fd = await mountAt(path);
  const errors = new ErrorLog();
  const tree: TreeState = {
    errors,
    drafts: new Drafts(),
    orderMemory: (order) => session.orderMemory(order),
  };
  const session = new FuseSession(fd, rootFolder(tree), (error) => {
    errors.add("hvsh", error as Error);
  });
  const end = async () => {
    await unmountAt(path).catch(() => {}); // somebody has done that already
    session[Symbol.dispose]();
  };
  stop.addEventListener("abort", end);
  try {
    if (stop.aborted) await end();
    else await ready();
    await session.ended;
  } finally {
    stop.removeEventListener("abort", end);
  }
}
