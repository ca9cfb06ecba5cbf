/**
 * Which snapshot a stream in a file is.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { closeFile, openFile, OpenFlag } from "../../ffi/files.ts";
import { DescriptorSource } from "../../vmm/state/descriptor_stream.ts";
import { readFirstRecord } from "../../vmm/state/first_record.ts";
import { StreamReader } from "../../vmm/state/stream_reader.ts";

/**
 * Reads a stream's first record.
 *
 * @param path The stream's file
 * @returns The snapshot's identity
 * @throws {DocumentError} If it is no stream, or has none
 */
export function snapshotId(path: string): string {
  let id: string | undefined;
  let found = false;
  const reader = new StreamReader({
    record(_name, content) {
      found = true;
      ({ id } = readFirstRecord(content));
    },
    memory(name) {
      throw new DocumentError(`${path}: ${name} comes before vm.json`);
    },
  });
  const fd = openFile(path, OpenFlag.RDONLY);
  try {
    const source = new DescriptorSource(fd, path);
    while (!found) {
      const count = source.read(reader.place);
      if (count === 0) reader.close();
      reader.advance(count);
    }
  } finally {
    closeFile(fd);
  }
  if (id !== undefined) return id;
  throw new DocumentError(`${path}: its vm.json has no "state.id"`);
}
