/**
 * `hvsh mount`: VMs as files.
 *
 * @module
 */
import { resolve } from "node:path";
import { UsageError, VmError } from "../../ffi/errors.ts";
import { onSignals } from "../live/signals.ts";
import type { Verb, VerbContext } from "../verb.ts";

/** The row of `mount`. */
export const verb: Verb = {
  name: "mount",
  summary: "Show all VMs as files in a folder",
  description:
    "Mounts a file system (FUSE) on DIR in which each VM is a folder: `echo pause > vms/web/ctl`, `cat " +
    "vms/web/vcpus/0/regs`, `tail -f vms/web/events`, `xxd -s 0x1000 vms/web/memory`. `mkdir vms/NAME` " +
    "makes a VM whose config.json is written and that `echo run > ctl` starts. The file `help` in each " +
    "folder says what is there, and `error_log` why a write was refused. It serves until ^C or " +
    "--unmount; with -d in a process of its own. Without root it needs fusermount3.",
  group: "around",
  flags: {
    detach: { short: "d", help: "Serve in a process of its own, and end" },
    unmount: { short: "u", help: "Take the tree away" },
  },
  arguments: [{ name: "DIR", value: "path", help: "an existing folder" }],
  reads: "nothing",
  writes: "records",
  examples: [
    { line: "mkdir -p ~/hv; hvsh mount -d ~/hv && cat ~/hv/help", needs: "kvm" },
    { line: "hvsh mount --unmount ~/hv", needs: "kvm" },
  ],
  async run(words, context) {
    const path = resolve(context.cwd, words.dir as string);
    if (words.unmount === true) {
      if (words.detach === true) throw new UsageError("--unmount and --detach exclude each other");
      const { unmountAt } = await import("../mount/mount_point.ts");
      await unmountAt(path);
      return 0;
    }
    return words.detach === true ? await detached(path, context) : await served(path, context);
  },
};

async function served(path: string, context: VerbContext): Promise<number> {
  const { serveTree } = await import("../mount/serve.ts");
  const stop = new AbortController();
  let status = 0;
  const forget = onSignals((signalled) => {
    status = signalled;
    stop.abort();
  });
  try {
    const signal = AbortSignal.any([context.signal, stop.signal]);
    const ready = () => context.emit({ mounted: path, pid: Deno.pid });
    await serveTree(path, ready, signal);
  } finally {
    forget();
  }
  return status;
}

/** Waits until the other process says that the tree is there. */
async function detached(path: string, context: VerbContext): Promise<number> {
  const { ownCommand } = await import("../mount/own_process.ts");
  const server = ownCommand(["mount", path], {
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    detached: true,
  }).spawn();
  server.unref();
  let text = "";
  for await (const piece of server.stdout.pipeThrough(new TextDecoderStream())) {
    text += piece;
    if (!text.includes("\n")) continue;
    await context.emit(JSON.parse(text));
    return 0;
  }
  const said = (await new Response(server.stderr).text()).trim();
  const [message = "", hint] = said.replace(/^hvsh mount: /, "").split("\n  try: ");
  throw new VmError(message, hint === undefined ? {} : { hint });
}
