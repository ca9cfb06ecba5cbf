/**
 * Where a VM is watched: in this process, or in another one by its control socket.
 *
 * @module
 */
import { type TracedExit, traceExits, type TraceOptions } from "../../vmm/debug/exit_trace.ts";
import type { FigureRecord } from "../../vmm/debug/machine_figures.ts";
import { profile, type ProfileOptions, type StackSample } from "../../vmm/debug/profile.ts";
import type { Machine } from "../../vmm/machine.ts";
import { follow } from "../live/json_rpc.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { figuresOf } from "../watch/figures.ts";
import { exitFromJson, type ExitJson, sampleFromJson, type SampleJson } from "../watch/wire.ts";

/** A VM as its watchers see it. */
export interface WatchSource {
  /** Whether it has not ended. */
  readonly lives: boolean;
  figures(): Promise<readonly FigureRecord[]>;
  exits(options: TraceOptions): AsyncIterable<readonly TracedExit[]>;
  samples(options: ProfileOptions): AsyncIterable<readonly StackSample[]>;
}

/**
 * A VM of this process.
 *
 * @param machine The VM
 */
export function ownSource({ watch }: Machine): WatchSource {
  return {
    get lives() {
      return watch.machine.lives;
    },
    figures: () => watch.figures(),
    exits: (options) => traceExits(watch, options),
    samples: (options) => profile(watch, options),
  };
}

/**
 * A VM of another process.
 *
 * @param vm Its folder
 * @param closed Aborts when nothing is read of it any more
 */
export function liveSource(vm: RunDirectory, closed: AbortSignal): WatchSource {
  async function* read<Json, T>(method: string, options: object, from: (json: Json) => T) {
    const { signal, ...params } = options as { signal?: AbortSignal };
    const end = signal === undefined ? closed : AbortSignal.any([signal, closed]);
    for await (const message of follow(vm.control, method, params, end)) {
      yield (message.params as Json[]).map(from);
    }
  }
  return {
    get lives() {
      return vm.live;
    },
    figures: async () => (await figuresOf(vm, closed))?.records ?? [],
    exits: (options) => read<ExitJson, TracedExit>("watch.trace", options, exitFromJson),
    samples: (options) => read<SampleJson, StackSample>("watch.profile", options, sampleFromJson),
  };
}
