/**
 * Redirections that end with the command that they are written at.
 *
 * @module
 */
import type { OpenFiles } from "./open_files.ts";
import type { Session } from "./session.ts";
import type { Streams } from "./streams.ts";
import type { Redirection } from "./tree.ts";

/** A command's redirections, in place. */
export interface OwnRedirections {
  readonly redirections: readonly Redirection[];
  readonly streams: Streams;
  /** What has been opened for them. */
  readonly open: OpenFiles;
}

/**
 * Runs something with redirections of its own. Behind it the descriptors that they are about are
 * what they were; what `exec` has made of others meanwhile stays.
 *
 * @param session The shell
 * @param own The redirections
 * @param run Runs it
 * @returns What it gives
 */
export async function withRedirections<T>(
  session: Session,
  { redirections, streams, open }: OwnRedirections,
  run: () => Promise<T>,
): Promise<T> {
  const before = session.streams;
  const numbers = redirections.map(({ descriptor }) => descriptor);
  session.covered.push(numbers.flatMap((number) => before.get(number) ?? []));
  session.streams = streams;
  try {
    return await run();
  } finally {
    session.covered.pop();
    session.streams = session.streams.restored(numbers, before);
    // `exec 3>&1` keeps a file open that the redirection of 1 has opened.
    keepOpen(session, open);
  }
}

/**
 * Keeps those files open that the shell's descriptors lead to, now or behind a command that runs,
 * and closes what `exec` has opened and nothing leads to any more.
 *
 * @param session The shell
 * @param open Files that are not the shell's yet
 */
export function keepOpen({ streams, covered, files }: Session, open: OpenFiles): void {
  const used = new Set(streams.descriptors.values());
  files.take(open, used);
  if (!files.empty) files.keepOnly(new Set([...used, ...covered.flat()]));
}
