/**
 * `hvsh snapshot`: a live VM as a stream.
 *
 * @module
 */
import { resolve } from "node:path";
import { Errno } from "../../ffi/errno.ts";
import { HostError, UsageError } from "../../ffi/errors.ts";
import { DescriptorSink } from "../../vmm/state/descriptor_stream.ts";
import type { StreamSink } from "../../vmm/state/stream_writer.ts";
import { namedVms, vmNames } from "../live/clients.ts";
import { HeldVm } from "../live/held_vm.ts";
import { writeFolder } from "../live/snapshot_folder.ts";
import { disksOf, writeSnapshot, writeWhole } from "../live/snapshot_stream.ts";
import { snapshotId } from "../live/snapshot_id.ts";
import { Meter } from "../progress/meter.ts";
import { meteredSink, meteredVm } from "../progress/metered.ts";
import type { Verb, VerbContext } from "../verb.ts";

const SIGPIPE_STATUS = 141;

/** The row of `snapshot`. */
export const verb: Verb = {
  name: "snapshot",
  summary: "Write a live VM's whole state as a stream",
  description:
    "Holds the VM, writes its state to stdout as a tar archive (document, memory without what " +
    "is zero, vCPUs, devices) and lets it go on. `hvsh restore` reads it, and so does tar.",
  group: "live",
  flags: {
    output: {
      short: "o",
      value: "path",
      metavar: "FILE",
      help: "write a file, which is there once it is whole; FOLDER/ for one that restore maps",
    },
    track: { help: "note what changes from now on, for --diff" },
    diff: {
      value: "path",
      metavar: "BASE",
      help: "write only what has changed since the stream in BASE, which had --track or --diff too",
    },
    disks: {
      help:
        "write the disks' contents too, while the VM stands: images, and overlays merged into theirs",
    },
    stop: { help: "end the VM where it stands, in place of letting it go on" },
  },
  arguments: [{ ...vmNames, repeat: false, help: "the VM; its handle on stdin if left out" }],
  reads: "handles",
  writes: "stream",
  examples: [
    { line: "hvsh snapshot web | zstd > web.tzst", needs: "kvm" },
    { line: "hvsh pause web | hvsh snapshot | tar xO vm.json | jq .devices", needs: "kvm" },
    { line: "hvsh snapshot web --disks | zstd > all.tzst", needs: "kvm" },
    { line: "hvsh snapshot web --track -o base.tar", needs: "kvm" },
    { line: "hvsh snapshot web --diff base.tar > changes.tar", needs: "kvm" },
    {
      line: "hvsh snapshot web --stop | zstd | ssh host 'zstd -d | hvsh restore -d'",
      needs: "kvm",
    },
  ],
  async run(words, context) {
    const { output, stop, track, diff } = words;
    if (diff !== undefined && typeof output === "string" && output.endsWith("/")) {
      throw new UsageError("A folder that is mapped has all of memory: --diff writes a stream");
    }
    if (diff !== undefined && words.disks === true) {
      throw new UsageError("--disks writes whole disks, and --diff what has changed: choose one");
    }
    if (output === undefined && context.forPerson) {
      throw new UsageError("A stream is no text for a terminal", {
        hint: "hvsh snapshot NAME > FILE",
      });
    }
    for await (const vm of namedVms(words, context)) {
      using held = await HeldVm.hold(vm, {
        track: track === true,
        ...(typeof diff === "string" ? { since: snapshotId(resolve(context.cwd, diff)) } : {}),
      });
      // Who reads the end of a stream may have the VM go on at once: with its disks, taps and name.
      const handOver = stop === true && typeof output !== "string" && !isFile(context);
      using meter = new Meter(context, { label: vm.name, unit: "bytes" });
      const toFolder = typeof output === "string" && output.endsWith("/");
      using opened = new DisposableStack();
      const disks = words.disks === true ? { disks: disksOf(held.state, opened) } : {};
      const { state, memory } = held;
      const metered = meteredVm({ state, memory, ...disks }, meter, toFolder);
      const write = (sink: StreamSink, last?: () => Promise<void>) =>
        writeSnapshot(metered, meteredSink(sink, meter), last);
      try {
        if (toFolder) {
          writeFolder(resolve(context.cwd, output), metered);
        } else if (typeof output === "string") {
          await writeWhole(resolve(context.cwd, output), write);
        } else if (handOver) await write(sinkOf(context), () => held.end());
        else await write(sinkOf(context));
        meter[Symbol.dispose]();
      } catch (error) {
        if (isBrokenPipe(error)) return SIGPIPE_STATUS;
        throw error;
      }
      if (stop !== true) await held.release();
      else if (!handOver) await held.end();
      meter.summarize(); // the VM goes on, should the terminal stand
      return 0; // a stream is one VM's
    }
    return 0;
  },
};

/** Whether the stream goes to a file, which nobody reads before it is whole. */
function isFile({ stdout }: VerbContext): boolean {
  return stdout !== undefined && Deno.statSync(`/proc/self/fd/${stdout}`).isFile;
}

/** Where the stream goes: a process's own stdout takes it without a copy. */
function sinkOf(context: VerbContext): StreamSink {
  if (context.stdout !== undefined) return new DescriptorSink(context.stdout, "stdout");
  return {
    async write(pieces) {
      for (const piece of pieces) await context.write(piece.slice());
    },
  };
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe ||
    error instanceof HostError && error.errno === Errno.EPIPE;
}
