/**
 * A saved state's records, to be looked at: memory is passed over.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { DescriptorSource } from "../../vmm/state/descriptor_stream.ts";
import type { VmDocument } from "../../vmm/document.ts";
import { FIRST } from "../../vmm/state/first_record.ts";
import { isState } from "../../vmm/state/record_names.ts";
import { type Need, needsOf } from "../../vmm/state/explain.ts";
import { folderRecords } from "../../vmm/state/load_folder.ts";
import type { StreamSource } from "../../vmm/state/load_stream.ts";
import { StreamReader } from "../../vmm/state/stream_reader.ts";
import { ChunkSource } from "./chunk_source.ts";
import { changed, namedDevices, type RestoreOrder } from "./restored_machine.ts";

/** A record of memory is as long as `hvsh` writes it, or as somebody packed it. */
const MOST_PIECE = 2 ** 30;
/** Bytes of all other records. */
const MOST_KEPT = 2 ** 29;
const STDIN = 0;

/**
 * Lists what a saved state wants of this host.
 *
 * @param order Which state, and what differs
 * @param bytes A stream that is not on the process's stdin
 * @throws {DocumentError} If it is no state
 */
export async function explainedState(
  order: RestoreOrder,
  bytes?: AsyncIterable<Uint8Array>,
): Promise<Need[]> {
  const records = await recordsOf(order, bytes);
  const change = (document: VmDocument) => changed(document, order);
  return await needsOf(records, change, namedDevices(order), order.disks !== undefined);
}

async function recordsOf(
  { path, edited }: RestoreOrder,
  bytes?: AsyncIterable<Uint8Array>,
): Promise<Map<string, Uint8Array>> {
  if (path === undefined) {
    const stdin = new DescriptorSource(STDIN, "stdin");
    return await streamRecords(bytes === undefined ? stdin : new ChunkSource(bytes), edited);
  }
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    if (Deno.statSync(path).isDirectory) {
      const read = (name: string) => [name, Deno.readFileSync(`${path}/${name}`)] as const;
      return new Map(folderRecords(path).map(read));
    }
    return await streamRecords(new DescriptorSource(fd, path), edited);
  } finally {
    closeFile(fd);
  }
}

async function streamRecords(
  source: StreamSource,
  edited: boolean,
): Promise<Map<string, Uint8Array>> {
  const records = new Map<string, Uint8Array>();
  let scratch = new Uint8Array(0);
  let kept = 0;
  const reader = new StreamReader({
    memory(name, size) {
      if (size > MOST_PIECE) throw new DocumentError(`${name} has ${size} bytes`);
      if (size > scratch.length) scratch = new Uint8Array(size);
      return scratch.subarray(0, size);
    },
    record(name, content) {
      if (name !== FIRST && !isState(name)) return;
      kept += content.length;
      if (kept > MOST_KEPT) {
        throw new DocumentError(`${name}: the stream's records have more than ${MOST_KEPT} bytes`);
      }
      records.set(name, content);
    },
  }, { edited });
  while (!reader.done) {
    const count = await source.read(reader.place);
    if (count === 0) reader.close();
    reader.advance(count);
  }
  return records;
}
