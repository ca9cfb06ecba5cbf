/**
 * `hvsh restore`: a VM that goes on from a saved state.
 *
 * @module
 */
import { resolve } from "node:path";
import { DocumentError, UsageError } from "../../ffi/errors.ts";
import { detach, detachArrival } from "../live/detach.ts";
import { escapeFlag } from "../live/escape.ts";
import { deviceChange, setFlag } from "../live/device_change.ts";
import { restoredMachine, type RestoreOrder } from "../live/restored_machine.ts";
import type { Handle } from "../live/owner.ts";
import { runAttached, type RunOptions } from "../live/run_machine.ts";
import { type RecordLayout, writeRecords } from "../output.ts";
import { meteredAsync } from "../progress/metered.ts";
import { meterProcess, restoreMeter } from "../progress/restore_meter.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

/** What the state wants is not there. */
const NOT_THERE = 125;

/** The row of `restore`. */
export const verb: Verb = {
  name: "restore",
  summary: "Have a VM go on from a saved state",
  description:
    "Reads the stream of `hvsh snapshot` from stdin or PATH, or a folder that it was unpacked into, and " +
    "has its VM go on as `hvsh run` would. A stream that was cut off, changed or asks for what this host " +
    "has not is refused, and nothing is left behind.",
  group: "run",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "give the VM another name" },
    detach: { short: "d", help: "run in a process of its own and print the VM's handle" },
    live: { help: "take a VM that `hvsh migrate` sends, on stdin and stdout; runs as -d does" },
    paused: { help: "wait for `hvsh resume` before the next instruction" },
    set: setFlag,
    diff: {
      value: "path",
      metavar: "FILE",
      repeat: true,
      help: "what has changed since, from `hvsh snapshot --diff`; the oldest first",
    },
    disks: {
      value: "path",
      metavar: "DIR",
      help: "write the disks that `snapshot --disks` has put into the state as DIR/NAME.img",
    },
    lazy: {
      help:
        "run while memory still comes: what the guest touches first is waited for, or read at once from " +
        "a file; a stream that turns out damaged ends the VM then, with status 125",
    },
    "working-set": {
      value: "path",
      metavar: "FILE",
      help:
        "with --lazy, from a file: read what FILE lists first; where there is none yet it is made, of " +
        "what the guest asks for",
    },
    edited: { help: "take records as they are that were changed by hand" },
    force: { help: "go on although this host's CPU lacks features, or files have changed" },
    explain: {
      help: "only list what the state wants of this host; status 125 if something is amiss",
    },
    "stop-clock": { help: "let the guest's clocks go on from where they stood" },
    timeout: {
      value: "seconds",
      metavar: "SECONDS",
      help: "end the VM after that, with status 124",
    },
    escape: escapeFlag,
  },
  arguments: [{
    name: "PATH",
    value: "path",
    optional: true,
    help: "a stream's file, or a folder with its records",
  }],
  reads: "stream",
  writes: "console",
  examples: [
    { line: "zstd -dc web.tzst | hvsh restore --explain | jq 'select(.ok | not)'", needs: "kvm" },
    { line: "hvsh snapshot web --stop | hvsh restore -d", needs: "kvm" },
    {
      line: "zstd -dc web.tzst | hvsh restore -d -n web2 --set disk0.path=/srv/web2.img",
      needs: "kvm",
    },
  ],
  async run(words, context) {
    const order = orderOf(words, context);
    const options = {
      paused: words.paused === true,
      ...(typeof words.timeout === "number" ? { timeout: words.timeout } : {}),
    };
    const bytes = order.path === undefined ? streamOf(context) : undefined;
    if (order.disks !== undefined && order.diffs!.length > 0) {
      throw new UsageError("--disks are as old as the base, and --diff is newer: choose one");
    }
    if (order.lazy === true) requireLazy(words, context);
    else if (order.workingSet !== undefined) {
      throw new UsageError("--working-set is read ahead of what else --lazy brings", {
        hint: "hvsh restore --lazy --working-set FILE",
      });
    }
    if (words.explain) return await explain(order, context);
    if (words.live) {
      requirePipes(bytes, context);
      await detachArrival({ restore: order, options, live: true });
      return 0;
    }
    if (words.detach) {
      await context.emit(await detached(order, options, bytes, context));
      return 0;
    }
    const escape = typeof words.escape === "string" ? { escape: words.escape } : {};
    const stdinFree = order.path !== undefined;
    const make = async () => {
      using meter = restoreMeter(order, context);
      return await restoredMachine(order, {
        bytes: bytes === "inherit" ? undefined : bytes,
        meter,
      });
    };
    return await runAttached(make, { ...options, ...escape, stdinFree }, context);
  },
};

async function detached(
  order: RestoreOrder,
  options: RunOptions,
  bytes: ReturnType<typeof streamOf> | undefined,
  context: VerbContext,
): Promise<Handle> {
  using meter = restoreMeter(order, context);
  if (typeof bytes === "object") {
    return await detach({ restore: order, options }, meteredAsync(bytes, meter));
  }
  using stack = new DisposableStack();
  return await detach({ restore: order, options }, bytes, (pid) => {
    if (context.progress === true) stack.use(meterProcess(meter, pid, order));
  });
}

const LAYOUT: RecordLayout = {
  columns: [
    { key: "part" },
    { key: "wants" },
    { key: "ok", format: (ok) => ok === true ? "yes" : "no" },
    { key: "why" },
  ],
  name: "part",
};

async function explain(order: RestoreOrder, context: VerbContext): Promise<number> {
  const { explainedState } = await import("../live/explained_state.ts");
  const bytes = order.path === undefined ? streamOf(context) : undefined;
  const needs = await explainedState(order, bytes === "inherit" ? undefined : bytes);
  await writeRecords(needs.map((need) => ({ ...need })), LAYOUT, {}, context);
  return needs.every(({ ok }) => ok) ? 0 : NOT_THERE;
}

function streamOf(context: VerbContext): "inherit" | AsyncIterable<Uint8Array> {
  if (context.bytes === undefined) {
    throw new DocumentError("There is no stream on stdin", {
      hint: "hvsh snapshot web | hvsh restore -d -n web2",
    });
  }
  return context.stdin === undefined ? context.bytes : "inherit";
}

/** The two owners talk over this process's own stdin and stdout. */
function requirePipes(bytes: ReturnType<typeof streamOf> | undefined, context: VerbContext): void {
  if (bytes === "inherit" && context.stdout !== undefined && !context.forPerson) return;
  throw new UsageError("--live is for the command that `hvsh migrate` runs", {
    hint: "hvsh migrate web -- ssh host hvsh restore --live",
  });
}

/** Memory that comes later is waited for by threads that end only with their process. */
function requireLazy(words: Words, context: VerbContext): void {
  if (words.disks !== undefined) {
    throw new UsageError("--lazy runs the VM before its disks have come: --disks waits for them");
  }
  if (words.live === true || (words.diff as readonly string[] | undefined)?.length) {
    throw new UsageError(
      `--lazy takes one whole state: ${words.live ? "--live" : "--diff"} has none`,
    );
  }
  if (words.detach === true || context.stdin !== undefined) return;
  throw new UsageError("--lazy is for a VM in a process of its own", {
    hint: "hvsh restore -d --lazy",
  });
}

function orderOf(words: Words, { cwd }: VerbContext): RestoreOrder {
  const { path, name, set = [], diff = [] } = words;
  return {
    ...(typeof path === "string" ? { path: resolve(cwd, path) } : {}),
    ...(typeof name === "string" ? { name } : {}),
    diffs: (diff as readonly string[]).map((file) => resolve(cwd, file)),
    changes: (set as readonly string[]).map(deviceChange),
    edited: words.edited === true,
    force: words.force === true,
    clockStopped: words["stop-clock"] === true,
    ...(words.lazy === true ? { lazy: true } : {}),
    ...(typeof words["working-set"] === "string"
      ? { workingSet: resolve(cwd, words["working-set"]) }
      : {}),
    ...(typeof words.disks === "string" ? { disks: resolve(cwd, words.disks) } : {}),
  };
}
