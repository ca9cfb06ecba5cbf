/**
 * Starts what `&` leaves to itself.
 *
 * @module
 */
import { duplicate, openFile, OpenFlag } from "../../ffi/files.ts";
import { OwnedDescriptor } from "../../ffi/pipe.ts";
import type { Evaluator } from "./evaluator.ts";
import type { Job } from "./jobs.ts";
import { Streams } from "./streams.ts";
import type { List } from "./tree.ts";

/**
 * Starts a list in the background.
 *
 * @param list The list
 * @param evaluator What runs the lists around it
 */
export async function startJob(list: List, evaluator: Evaluator): Promise<void> {
  const { session, origin } = evaluator;
  const { start, end } = list.span;
  const job = session.jobs.add(origin.source.slice(start, end).replaceAll(/\s*\n\s*/g, " "));
  const open = new DisposableStack();
  const streams = ownStreams(session.streams, open);
  const inner = evaluator.with({
    session: session.fork(streams, false),
    signal: job.controller.signal,
    job,
  });
  const run = async () => {
    try {
      return await inner.contained(() => inner.list(list, false));
    } catch (thrown) {
      if (job.controller.signal.aborted) return Number(job.controller.signal.reason);
      throw thrown;
    } finally {
      open[Symbol.dispose]();
    }
  };
  const simple = list.rest.length === 0 &&
    list.first.commands.every(({ kind }) => kind === "simple");
  if (!simple) job.begin(); // it is no single process
  const running = run();
  job.watch(running, () => {
    session.unfinished.delete(running);
    session.jobs.onEnd(job);
  });
  await job.begun;
  // A program goes on without the shell, as in sh; what runs in this process does not.
  if (job.pid === undefined) session.unfinished.add(running);
  session.lastJob = job.pid === undefined ? `%${job.id}` : String(job.pid);
  if (session.interactive && !session.inner) session.note(started(job));
}

function started({ id, pid, text }: Job): string {
  return `[${id}] ${pid ?? text}`;
}

/** Copies, since the redirections around it end before it does; nothing at its stdin (XCU 2.9.3.1). */
function ownStreams(streams: Streams, open: DisposableStack): Streams {
  const own = (fd: number) => open.use(new OwnedDescriptor(fd)).fd;
  const copies = [...streams.descriptors].filter(([number]) => number !== 0)
    .map(([number, fd]): [number, number] => [number, own(duplicate(fd))]);
  const nothing = own(openFile("/dev/null", OpenFlag.RDONLY));
  return new Streams(new Map([[0, nothing], ...copies]), false);
}
