/**
 * `hvsh run`: bring a VM to life.
 *
 * @module
 */
import { DocumentError, UsageError } from "../../ffi/errors.ts";
import { parseDocument, type VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { applyBuildFlags, bootsFromWords, buildFlags } from "../build_flags.ts";
import { documents } from "../documents.ts";
import { detach } from "../live/detach.ts";
import { escapeFlag } from "../live/escape.ts";
import { folderPath } from "../image_path.ts";
import { runAttached, type RunOptions } from "../live/run_machine.ts";
import { readStream } from "../stdin_image.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

/** The row of `run`. */
export const verb: Verb = {
  name: "run",
  summary: "Run a VM",
  description:
    "Runs the VM whose document is on stdin, or the one that IMAGE and the builders' flags describe. " +
    "The guest's first serial port is stdout and, where stdin is not taken by a document or an " +
    "image, stdin. The exit status is the guest's own where it gave one; 101 panic, 102 triple " +
    "fault, 124 timeout, 125 hvsh failed. With a COMMAND the guest runs that one, as root in the host's " +
    "files, which it can read and not write; folders of --share are at their own paths, and writable if " +
    "they are shared so; /tmp and /run are its own. Its stdin, stdout, stderr and status are hvsh's.",
  group: "run",
  flags: {
    ...buildFlags,
    detach: { short: "d", help: "run in a process of its own and print the VM's handle" },
    paused: { help: "make the VM, but wait for `hvsh resume` before its first instruction" },
    timeout: {
      value: "seconds",
      metavar: "SECONDS",
      help: "end the VM after that, with status 124",
    },
    escape: escapeFlag,
    modules: {
      value: "path",
      metavar: "DIR",
      help: "with a COMMAND: the kernel's modules (beside it, or this host's of its version)",
    },
    verbose: { short: "v", help: "with a COMMAND: show what the kernel says, on stderr" },
  },
  arguments: [{
    name: "IMAGE",
    value: "path",
    optional: true,
    help: "a kernel, multiboot image or boot sector",
  }],
  rest: { name: "COMMAND", value: "text", repeat: true, help: "what the guest runs" },
  reads: "document",
  writes: "console",
  examples: [
    {
      line: String.raw`printf '\272\370\003\260H\356\260\n\356\364' | hvsh run --flat -`,
      prints: "H\n",
      needs: "kvm",
    },
    { line: "hvsh create | hvsh kernel bzImage | hvsh run -d -n web", needs: "kvm" },
    { line: "seq 9 | hvsh run bzImage --share '. --writable' -- tee numbers | tac", needs: "kvm" },
  ],
  async run(words, context) {
    const { document, stdinFree } = await documentOf(words, context);
    const options = {
      paused: words.paused === true,
      ...(typeof words.timeout === "number" ? { timeout: words.timeout } : {}),
    };
    if (words.command !== undefined) {
      return await runCommand(words, document, { ...options, stdinFree }, context);
    }
    for (const name of ["modules", "verbose"]) {
      if (words[name] !== undefined) throw new UsageError(`--${name} is for a command, behind --`);
    }
    if (words.detach) {
      await context.emit(await detach({ run: document, options }));
      return 0;
    }
    const escape = typeof words.escape === "string" ? { escape: words.escape } : {};
    const make = () => Machine.create(document);
    return await runAttached(make, { ...options, ...escape, stdinFree }, context);
  },
};

async function runCommand(
  words: Words,
  document: VmDocument,
  options: RunOptions & { readonly stdinFree: boolean },
  context: VerbContext,
): Promise<number> {
  if (words.detach) {
    throw new UsageError("A command's streams are here: it cannot be detached", {
      hint: "without -d, and & behind the line",
    });
  }
  const { runGuestCommand } = await import("../guest_command/run_guest_command.ts");
  return await runGuestCommand(document, {
    ...options,
    argv: words.command as readonly string[],
    verbose: words.verbose === true,
    ...(typeof words.modules === "string"
      ? { modules: folderPath(words.modules, context.cwd) }
      : {}),
    ...(typeof words.escape === "string" ? { escape: words.escape } : {}),
  }, context);
}

/** The document that the words describe, else the one on stdin; and whether stdin is left over. */
async function documentOf(
  words: Words,
  context: VerbContext,
): Promise<{ document: VmDocument; stdinFree: boolean }> {
  let usedStdin = false;
  const place = {
    cwd: context.cwd,
    readStdin: async () => {
      usedStdin = true;
      if (context.bytes === undefined) {
        throw new UsageError("There is no image on stdin", {
          hint: "cat IMAGE | hvsh run --flat -",
        });
      }
      return await readStream(context.bytes);
    },
  };
  if (bootsFromWords(words)) {
    const document = await applyBuildFlags(undefined, words, place);
    return { document: parseDocument(document, "the command line"), stdinFree: !usedStdin };
  }
  for await (const read of documents(context)) {
    const document = await applyBuildFlags(read, words, place);
    return { document: parseDocument(document, "stdin"), stdinFree: false };
  }
  throw new DocumentError("No VM on stdin; did the stage before fail?");
}
