/**
 * `console`: a virtio console, with named ports beside it.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { absolutePath, refusal } from "../image_path.ts";
import { escapeFlag } from "../live/escape.ts";
import { freeName, withDevice } from "../named_device.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

/** What concerns a live VM's console, and what a console that is built. */
const LIVE = ["vm", "escape", "expect", "timeout", "backlog"];
const BUILT = ["name", "port", "size"];

function refuse(words: Words, keys: readonly string[], why: string): void {
  const key = keys.find((key) => words[key] !== undefined);
  if (key !== undefined) throw new UsageError(`--${key} ${why}`);
}

async function attach(words: Words, context: VerbContext): Promise<number> {
  refuse(words, BUILT, "is for a console that is built, not for a live VM's");
  const { onLiveConsole } = await import("../live/on_live_console.ts");
  return await onLiveConsole(words, context);
}

/** hvsh's own streams. */
const STREAMS: Readonly<Record<string, { mode: "read" | "write"; fd: 0 | 1 | 2 }>> = {
  stdin: { mode: "read", fd: 0 },
  stdout: { mode: "write", fd: 1 },
  stderr: { mode: "write", fd: 2 },
};
const SIZE = /^(\d{1,5})x(\d{1,5})$/;
const MOST_SIZE = 0xffff;
const PORT_NAME = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$/;
const MOST_PORTS = 7;

interface Port {
  readonly name: string;
  readonly mode: "none" | "socket" | "read" | "write";
  readonly path?: string;
  readonly fd?: number;
}

/** `NAME` or `NAME=END`. */
function port(word: string, cwd: string): Port {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  if (!PORT_NAME.test(name)) {
    throw new UsageError(
      `"${name}" is no name of a port: letters, digits and . _ : @ -, 64 at most`,
    );
  }
  if (equals < 0) return { name, mode: "none" };
  const end = word.slice(equals + 1);
  if (Object.hasOwn(STREAMS, end)) return { name, ...STREAMS[end]! };
  const [, prefix, path] = /^(read:|write:|)(.*)$/s.exec(end)!;
  if (path === "" || path!.includes("\0")) {
    throw new UsageError(`Port ${name}: "${end}" is no path`, {
      hint: `--port ${name}=agent.sock, ${name}=write:log.txt or ${name}=stdout`,
    });
  }
  const mode = prefix === "" ? "socket" : prefix!.slice(0, -1) as "read" | "write";
  const absolute = absolutePath(path!, cwd);
  if (mode === "read") requireReadable(absolute, path!);
  return { name, mode, path: absolute };
}

function requireReadable(absolute: string, path: string): void {
  try {
    if (!Deno.statSync(absolute).isDirectory) return;
  } catch (error) {
    throw new UsageError(`${path}: ${refusal(error)}`, { cause: error });
  }
  throw new UsageError(`${path} is a folder, and a port reads a file or FIFO`);
}

function ports(words: Words, cwd: string): { ports?: Port[] } {
  const given = words.port as readonly string[] | undefined;
  if (given === undefined) return {};
  const list = given.map((word) => port(word, cwd));
  const twice = list.find(({ name }, i) => list.findIndex((p) => p.name === name) < i);
  if (twice !== undefined) throw new UsageError(`Two ports are named "${twice.name}"`);
  if (list.length > MOST_PORTS) {
    throw new UsageError(`Cannot make ${list.length} ports: a console has ${MOST_PORTS} at most`, {
      hint: "add another console",
    });
  }
  return { ports: list };
}

function size(words: Words): { cols?: number; rows?: number } {
  if (words.size === undefined) return {};
  const [, cols, rows] = SIZE.exec(words.size as string)?.map(Number) ?? [];
  const fits = (n: number | undefined) => n !== undefined && n >= 1 && n <= MOST_SIZE;
  if (fits(cols) && fits(rows)) return { cols: cols!, rows: rows! };
  throw new UsageError(`"${words.size}" is no size of a window: write it as 80x25`);
}

/** The row of the table. */
export const verb: Verb = {
  name: "console",
  summary: "Attach to a live VM's console; or add a virtio console",
  description:
    "With the name of a live VM, or its handle on stdin, attaches to its console: what it says from now " +
    "on, and what you type. On a terminal a key leaves it, and the VM runs on; otherwise stdin and " +
    "stdout are the console's, until the VM ends. With --expect it shows what was said since the last " +
    "such wait until TEXT comes, and ends with 0, or with 124 after --timeout. With a document on stdin " +
    "it adds a console that the guest sees as hvc0, and named ports beside it, /dev/virtio-ports/NAME in " +
    "the guest. A port's other end is a unix socket that listens at a path, a file or FIFO to read or " +
    "write, or one of hvsh's own streams; without one nobody is there. With the name of a console " +
    "that is there it changes that one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (console0, console1…)" },
    port: {
      value: "text",
      metavar: "NAME[=END]",
      repeat: true,
      help: "A port; END is SOCKET, read:FILE, write:FILE, stdin, stdout or stderr",
    },
    size: { value: "text", metavar: "COLSxROWS", help: "The window's size, 80x25" },
    escape: escapeFlag,
    expect: { value: "text", metavar: "TEXT", help: "Live: wait until it says this" },
    timeout: { value: "seconds", metavar: "SECONDS", help: "Live: for --expect, at most so long" },
    backlog: { help: "Live: begin with what it said lately, up to 256 KiB" },
  },
  arguments: [{ name: "VM", value: "vm", optional: true, help: "a live VM" }],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    { line: "hvsh console web --expect 'login: ' --timeout 60", needs: "kvm" },
    {
      line: "hvsh create | hvsh console --size 80x25 --port agent --port log=stderr | " +
        "jq -c .devices[1]",
      prints: '{"type":"console","name":"console0","cols":80,"rows":25,"ports":' +
        '[{"name":"agent","mode":"none"},{"name":"log","mode":"write","fd":2}]}\n',
    },
    {
      line: "hvsh create | hvsh console --port agent=/tmp/agent.sock | jq -c .devices[1].ports[]",
      prints: '{"name":"agent","mode":"socket","path":"/tmp/agent.sock"}\n',
    },
  ],
  build(document, words, cwd) {
    refuse(words, LIVE, "is for the console of a live VM");
    return withDevice(document, {
      type: "console",
      name: words.name as string ?? freeName(document, "console"),
      ...size(words),
      ...ports(words, cwd),
    });
  },
  run: attach,
};
