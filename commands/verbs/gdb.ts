/**
 * `hvsh gdb`: GDB for a live VM.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { call } from "../live/json_rpc.ts";
import { findVm, type RunDirectory } from "../live/run_directory.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const LOOPBACK = "127.0.0.1";
const TARGETS: Readonly<Record<string, string>> = { "x86-64": "i386:x86-64", i386: "i386" };

/** The row of `gdb`. */
export const verb: Verb = {
  name: "gdb",
  summary: "Serve GDB for a live VM",
  description:
    "Speaks GDB's remote protocol on stdin and stdout, for `target remote | hvsh gdb NAME`, or listens " +
    "on a unix socket or a TCP port. The VM is paused when GDB comes, and goes on when it detaches or " +
    "leaves. Threads are vCPUs, addresses are linear ones. `monitor help` tells more. A VM is an x86-64 " +
    "one, unless it is a flat image in 16 or 32 bits.",
  group: "live",
  flags: {
    unix: { value: "path", metavar: "PATH", help: "Listen on a unix socket" },
    tcp: { value: "text", metavar: "[ADDR:]PORT", help: `Listen on a TCP port (of ${LOOPBACK})` },
    arch: { value: Object.keys(TARGETS), metavar: "ARCH", help: "What GDB is told the CPU is" },
  },
  arguments: [{ name: "NAME", value: "vm", help: "the VM" }],
  // GDB's flags have one dash (-ex, -x, -q), and this verb's have two.
  forProgram: (words) => words.some((word) => /^-[a-z]/.test(word)),
  reads: "text",
  writes: "text",
  examples: [
    { line: "gdb vmlinux -ex 'target remote | hvsh gdb web'", needs: "kvm" },
    { line: "hvsh gdb web --tcp 1234", needs: "kvm" },
  ],
  async run(words, context) {
    const vm = findVm(words.name as string);
    const listener = listen(words, context);
    if (listener === undefined) {
      if (context.bytes === undefined) {
        throw new UsageError("GDB is not a terminal", {
          hint: `gdb -ex 'target remote | hvsh gdb ${vm.name}'`,
        });
      }
      await serve(vm, words, context.bytes, (bytes) => context.write(bytes));
      return 0;
    }
    await serveAll(listener, vm, words, context);
    return 0;
  },
};

type GdbListener = Deno.Listener<Deno.Conn>;

function listen(words: Words, context: VerbContext): GdbListener | undefined {
  if (words.unix !== undefined && words.tcp !== undefined) {
    throw new UsageError("Either --unix or --tcp");
  }
  if (words.unix !== undefined) {
    const path = words.unix as string;
    const listener = Deno.listen({ transport: "unix", path });
    Deno.chmodSync(path, 0o600);
    context.note(`hvsh gdb: listening; target remote ${path}`);
    return listener as GdbListener;
  }
  if (words.tcp === undefined) return undefined;
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(words.tcp as string);
  const port = Number(match?.[2]);
  if (match === null || port > 65535) {
    throw new UsageError(`"${words.tcp}" is not a TCP port`, { hint: "write it as 1234" });
  }
  const hostname = match[1]?.replace(/^\[(.*)\]$/, "$1") ?? LOOPBACK;
  const listener = Deno.listen({ hostname, port });
  context.note(`hvsh gdb: listening; target remote ${hostname}:${listener.addr.port}`);
  return listener as GdbListener;
}

/** One connection after the other, until the VM or this process is ended. */
async function serveAll(
  listener: GdbListener,
  vm: RunDirectory,
  words: Words,
  context: VerbContext,
): Promise<void> {
  const close = () => listener.close();
  context.signal.addEventListener("abort", close);
  // A shell goes on, and tells by the context's signal.
  const signals = context.shared === true ? [] : ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  const end = () => {
    close();
    Deno.exit(0); // the socket is gone from its folder
  };
  for (const signal of signals) Deno.addSignalListener(signal, end);
  try {
    while (vm.live) {
      const connection = await listener.accept();
      try {
        await serve(vm, words, connection.readable, (bytes) => writeAll(connection, bytes));
      } finally {
        try {
          connection.close();
        } catch {
          // Its stream has closed it.
        }
      }
    }
  } catch (error) {
    if (!context.signal.aborted) throw error;
  } finally {
    for (const signal of signals) Deno.removeSignalListener(signal, end);
    context.signal.removeEventListener("abort", close);
    if (!context.signal.aborted) close();
  }
}

/** Takes bytes to and fro between GDB and the VM's owner until one of them is gone. */
async function serve(
  vm: RunDirectory,
  words: Words,
  input: AsyncIterable<Uint8Array>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const architecture = words.arch === undefined ? undefined : TARGETS[words.arch as string];
  const { path } = await call(vm.control, "debug.gdb", { architecture }) as { path: string };
  const owner = await Deno.connect({ transport: "unix", path });
  const there = async () => {
    for await (const bytes of input) await writeAll(owner, bytes);
  };
  const back = async () => {
    const buffer = new Uint8Array(65536);
    for (;;) {
      const count = await owner.read(buffer);
      if (count === null) return;
      await write(buffer.slice(0, count));
    }
  };
  try {
    await Promise.race([there().catch(() => {}), back().catch(() => {})]);
  } finally {
    owner.close();
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) done += await connection.write(bytes.subarray(done));
}
