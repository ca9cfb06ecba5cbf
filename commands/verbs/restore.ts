/**
 * `hvsh restore`: a VM that goes on from a saved state.
 *
 * @module
 */
import { resolve } from "node:path";
import { DocumentError, UsageError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { detach } from "../live/detach.ts";
import { escapeFlag } from "../live/escape.ts";
import { type DeviceChange, restoredMachine, type RestoreOrder } from "../live/restored_machine.ts";
import { runAttached } from "../live/run_machine.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

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
    paused: { help: "wait for `hvsh resume` before the next instruction" },
    set: {
      value: "text",
      metavar: "DEVICE.KEY=VALUE",
      repeat: true,
      help: "what differs here: disk0.path=/srv/web.img, net0.mac=52:54:00:00:00:01",
    },
    edited: { help: "take records as they are that were changed by hand" },
    force: { help: "go on although this host's CPU lacks features" },
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
  reads: "document",
  writes: "console",
  examples: [
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
    if (words.detach) {
      await context.emit(await detach({ restore: order, options }, bytes));
      return 0;
    }
    const escape = typeof words.escape === "string" ? { escape: words.escape } : {};
    const stdinFree = order.path !== undefined;
    const make = () => restoredMachine(order, bytes === "inherit" ? undefined : bytes);
    return await runAttached(make, { ...options, ...escape, stdinFree }, context);
  },
};

function streamOf(context: VerbContext): "inherit" | AsyncIterable<Uint8Array> {
  if (context.bytes === undefined) {
    throw new DocumentError("There is no stream on stdin", {
      hint: "hvsh snapshot web | hvsh restore -d -n web2",
    });
  }
  return context.stdin === undefined ? context.bytes : "inherit";
}

function orderOf(words: Words, { cwd }: VerbContext): RestoreOrder {
  const { path, name, set = [] } = words;
  return {
    ...(typeof path === "string" ? { path: resolve(cwd, path) } : {}),
    ...(typeof name === "string" ? { name } : {}),
    changes: (set as readonly string[]).map(changeOf),
    edited: words.edited === true,
    force: words.force === true,
    clockStopped: words["stop-clock"] === true,
  };
}

function changeOf(word: string): DeviceChange {
  const [, device, key, text] = /^([^.=]+)\.([^.=]+)=(.*)$/s.exec(word) ?? [];
  if (device === undefined) {
    throw new UsageError(`--set ${word}: it is no DEVICE.KEY=VALUE`, {
      hint: "--set disk0.path=/srv/web.img",
    });
  }
  return [device, key!, valueOf(text!)];
}

/** Numbers and booleans as JSON has them, anything else as text. */
function valueOf(text: string): Json {
  return /^(true|false|-?\d+(\.\d+)?)$/.test(text) ? JSON.parse(text) : text;
}
