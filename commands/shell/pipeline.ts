/**
 * Runs the stages of a pipeline at once, each one's output into the next one's input: objects from
 * verb to verb, and through a pipe of the host where a program, a built-in or a compound command
 * stands on one side.
 *
 * @module
 */
import { makePipe, type OwnedDescriptor } from "../../ffi/pipe.ts";
import { Channel } from "./channel.ts";
import type { Evaluator } from "./evaluator.ts";
import type { StageRun } from "./stage_run.ts";
import type { Redirection } from "./tree.ts";

/** A stage, its words ready. */
export interface PipelineStage {
  /** Whether it is a verb, which can pass objects. */
  readonly verb: boolean;
  readonly redirections: readonly Redirection[];
  run(run: StageRun): Promise<number>;
}

/**
 * Runs a pipeline until all its stages have ended.
 *
 * @param stages At least two
 * @param evaluator What runs the lists around it
 * @returns The exit status of the last stage, as in sh
 */
export async function runPipeline(
  stages: readonly PipelineStage[],
  { session, signal }: Evaluator,
): Promise<number> {
  const links = stages.slice(1).map((right, i) => link(stages[i]!, right));
  const stop = () => links.forEach(({ channel }) => channel?.cancel());
  signal.addEventListener("abort", stop);
  try {
    const statuses = stages.map(async (stage, i) => {
      const left = links[i - 1];
      const right = links[i];
      let { streams } = session;
      if (left?.reader !== undefined) streams = streams.with(0, left.reader.fd);
      if (right?.writer !== undefined) streams = streams.with(1, right.writer.fd);
      const close = () => {
        left?.reader?.[Symbol.dispose]();
        right?.writer?.[Symbol.dispose]();
      };
      try {
        return await stage.run({
          streams,
          from: left?.channel,
          to: right?.channel,
          inner: i < stages.length - 1,
          // From here on the program alone has them, so that it gets SIGPIPE and its reader the end.
          started: close,
        });
      } finally {
        close();
        left?.channel?.cancel();
        await right?.channel?.close();
      }
    });
    const results = await Promise.allSettled(statuses);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    const last = results.at(-1)!;
    return last.status === "fulfilled" ? last.value : 0;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** What is between two stages: a channel for objects, or a pipe. */
interface Link {
  readonly channel?: Channel;
  readonly reader?: OwnedDescriptor;
  readonly writer?: OwnedDescriptor;
}

function link(left: PipelineStage, right: PipelineStage): Link {
  const objects = left.verb && right.verb && left.redirections.every(keepsObjects(1)) &&
    right.redirections.every(keepsObjects(0));
  if (objects) return { channel: new Channel() };
  const { reader, writer } = makePipe();
  return { reader, writer };
}

/** Whether a redirection leaves a verb's objects alone. */
function keepsObjects(stream: number) {
  return ({ descriptor, operator }: Redirection): boolean =>
    descriptor !== stream && !operator.endsWith("&");
}
