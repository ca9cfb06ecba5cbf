/**
 * `hvsh mem`: a VM's memory, read, written, searched and mapped.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import { searchPhysical, searchVirtual } from "../../vmm/debug/memory_search.ts";
import type { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { parseSize } from "../../vmm/size.ts";
import { hexDump } from "../hex_dump.ts";
import { hostErrno } from "../host_errno.ts";
import { namedVms, request } from "../live/clients.ts";
import { call, VmGoneError } from "../live/json_rpc.ts";
import { LiveInside } from "../live/live_inside.ts";
import { type AddressKind, openAccess, readChunks } from "../live/memory_access.ts";
import { MEMORY_ACTIONS, type MemoryAction, memoryWords } from "../live/memory_words.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { Meter } from "../progress/meter.ts";
import { metered, meteredAsync } from "../progress/metered.ts";
import { fileSize } from "../progress/read_position.ts";
import { type DataRecord, outputFlag, type RecordLayout, writeRecords } from "../output.ts";
import { absolutePath } from "../image_path.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const SIGPIPE_STATUS = 141;
/** What is read of a file at once. */
const FILE_CHUNK = 2 ** 20;

/** The row of `mem`. */
export const verb: Verb = {
  name: "mem",
  summary: "Read, write, search and map the memory of live VMs",
  description:
    "read ADDR LENGTH writes bytes to stdout, or a hex dump to a terminal. write ADDR takes bytes from " +
    "stdin, or from FILE where handles are on stdin, which it passes on. search finds text, or bytes " +
    "written as 0xHEX in the order of memory. map shows what is where. Addresses are guest-physical; " +
    "with --virtual those that code on a vCPU sees, by the guest's page tables. A symbol of its kernel " +
    "is an address too. Devices' addresses are not memory. The guest goes on meanwhile.",
  group: "live",
  flags: {
    virtual: { short: "v", help: "Addresses are linear ones" },
    cpu: { value: "number", metavar: "N", help: "The vCPU whose linear addresses they are (0)" },
    ...outputFlag,
  },
  arguments: [
    { name: "ACTION", value: MEMORY_ACTIONS, help: MEMORY_ACTIONS.join(", ") },
    {
      name: "WORD",
      value: "vm",
      behind: "symbol",
      optional: true,
      repeat: true,
      help: "NAME, unless handles are on stdin, and what the action wants",
    },
  ],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh mem read web 0x1000 64 | xxd", needs: "kvm" },
    { line: String.raw`printf '\x90\x90' | hvsh mem write web 0x7c10`, needs: "kvm" },
    { line: "hvsh mem search web 'Linux version' | jq -r .address", needs: "kvm" },
    { line: "hvsh mem map web --virtual", needs: "kvm" },
  ],
  async run(words, context) {
    const action = words.action as MemoryAction;
    const { names, rest } = memoryWords(action, (words.word ?? []) as readonly string[]);
    const vms = () => namedVms({ ...words, name: names }, context);
    switch (action) {
      case "read":
        return await read(vms(), rest, words, context);
      case "write":
        return await write(vms(), rest, words, context);
      case "search":
        await writeRecords(search(vms(), rest[0]!, words), FOUND, words, context);
        return 0;
      case "map":
        await writeRecords(
          map(vms(), words),
          words.virtual === true ? VIRTUAL : MAP,
          words,
          context,
        );
        return 0;
    }
  },
};

async function read(
  vms: AsyncIterable<RunDirectory>,
  [where, size]: readonly string[],
  words: Words,
  context: VerbContext,
): Promise<number> {
  const length = wordSize(size!);
  for await (const vm of vms) {
    using inside = await LiveInside.open(vm);
    const access = await openAccess(inside, words as AddressKind);
    const start = await inside.address(where!);
    let at = start;
    using meter = new Meter(context, {
      ...{ label: vm.name, unit: "bytes", prints: true },
      total: length,
    });
    try {
      for (const chunk of metered(readChunks(access, start, length), meter)) {
        if (context.forPerson) await context.print(hexDump(at, chunk));
        else await context.write(chunk);
        at += BigInt(chunk.length);
      }
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return SIGPIPE_STATUS;
      throw error;
    }
  }
  return 0;
}

async function write(
  vms: AsyncIterable<RunDirectory>,
  [where, file]: readonly string[],
  words: Words,
  context: VerbContext,
): Promise<number> {
  for await (const vm of vms) {
    using inside = await LiveInside.open(vm);
    const access = await openAccess(inside, words as AddressKind);
    let at = await inside.address(where!);
    const total = fileSize(file === undefined ? context.stdin : absolutePath(file, context.cwd));
    using meter = new Meter(context, { label: vm.name, unit: "bytes", total });
    for await (const bytes of meteredAsync(source(file, context), meter)) {
      access.write(at, bytes as Uint8Array<ArrayBuffer>);
      at += BigInt(bytes.length);
    }
    const handle = await tellWritten(vm, inside.memory);
    // Where bytes came in, nobody waits for handles.
    if (file !== undefined) await context.emit(handle);
  }
  return 0;
}

/**
 * Tells the owner what its dirty log does not see, and gives the VM's handle. What was written may have
 * made the guest end, which is no failure.
 */
async function tellWritten(vm: RunDirectory, memory: ProcessMemory): Promise<object> {
  try {
    await call(vm.control, "inspect.written", { ranges: memory.takeWritten() });
    return await request(vm, "status");
  } catch (error) {
    if (!(error instanceof VmGoneError)) throw error;
    return { live: vm.name, state: "ended" };
  }
}

/** What is to be written: a file, or the bytes on stdin. */
function source(file: string | undefined, context: VerbContext): AsyncIterable<Uint8Array> {
  if (file !== undefined) return fileChunks(absolutePath(file, context.cwd));
  if (context.bytes === undefined) {
    throw new UsageError("There are no bytes on stdin, and no FILE", { hint: "hvsh mem --help" });
  }
  return context.bytes;
}

/** A file's bytes, in one buffer that each chunk overwrites. */
async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  try {
    using file = await Deno.open(path);
    const buffer = new Uint8Array(FILE_CHUNK);
    for (;;) {
      const count = await file.read(buffer);
      if (count === null) return;
      yield buffer.subarray(0, count);
    }
  } catch (error) {
    if (hostErrno(error) === undefined) throw error;
    throw new VmError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

const FOUND: RecordLayout = {
  name: "address",
  columns: [{ key: "live" }, { key: "address" }],
};

async function* search(
  vms: AsyncIterable<RunDirectory>,
  pattern: string,
  { virtual, cpu }: Words,
): AsyncGenerator<DataRecord> {
  const needle = patternBytes(pattern);
  for await (const vm of vms) {
    using inside = await LiveInside.open(vm);
    const found = virtual === true
      ? searchVirtual(inside.memory, await inside.virtual(cpu as number | undefined), needle)
      : searchPhysical(inside.memory, needle);
    for (const address of found) yield { live: vm.name, address: hex(address) };
  }
}

function patternBytes(pattern: string): Uint8Array<ArrayBuffer> {
  const digits = /^0x((?:[0-9a-f]{2})+)$/i.exec(pattern)?.[1];
  const bytes = digits === undefined
    ? new TextEncoder().encode(pattern)
    : Uint8Array.fromHex(digits);
  if (bytes.every((byte) => byte === 0)) {
    throw new UsageError("Zeros are everywhere: name a byte that is not zero");
  }
  return bytes;
}

const right = true;
const MAP: RecordLayout = {
  name: "address",
  columns: [
    { key: "live" },
    { key: "address", right },
    { key: "size", right },
    { key: "type" },
    { key: "readonly" },
  ],
};
const VIRTUAL: RecordLayout = {
  name: "address",
  columns: [
    { key: "live" },
    { key: "address", right },
    { key: "size", right },
    { key: "physical", right },
    { key: "page", right },
    { key: "rights" },
  ],
};

async function* map(
  vms: AsyncIterable<RunDirectory>,
  { virtual, cpu }: Words,
): AsyncGenerator<DataRecord> {
  for await (const vm of vms) {
    using inside = await LiveInside.open(vm);
    const live = vm.name;
    if (virtual !== true) {
      for (const { base, size, ram, readonly } of inside.memory.pieces) {
        const type = ram ? "ram" : readonly ? "rom" : "file";
        yield { live, address: hex(base), size, type, readonly };
      }
      continue;
    }
    const space = await inside.virtual(cpu as number | undefined);
    if (space.tables.mode === "none") {
      throw new VmError(`VM "${live}" has paging off: linear addresses are guest-physical ones`);
    }
    for (const { start, size, physical, pageSize, ...rights } of space.ranges()) {
      const { writable, user, executable } = rights;
      const letters = `r${writable ? "w" : "-"}${executable ? "x" : "-"}${user ? "u" : "-"}`;
      const page = pageSize;
      yield { live, address: hex(start), size, physical: hex(physical), page, rights: letters };
    }
  }
}

function wordSize(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
