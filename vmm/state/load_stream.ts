/**
 * A machine from a stream, as that arrives: its memory is made as soon as the first record is there and
 * filled in place. All else is made once the stream has proved whole: until then nothing that it names is
 * opened, so that whoever writes it may still have its disks and taps.
 *
 * @module
 */
import type { Machine } from "../machine.ts";
import { ArrivingMemory } from "./lazy/arriving_memory.ts";
import type { ArrivingSource } from "./lazy/fill_thread.ts";
import { endWithoutMemory } from "./lazy/lost_memory.ts";
import { type LoadOptions, StreamLoading } from "./stream_loading.ts";
import { StreamReader } from "./stream_reader.ts";

/** Where a stream comes from. */
export interface StreamSource {
  /**
   * Reads some bytes.
   *
   * @param into Where to; at least one of it is filled
   * @returns How many; 0 at the end
   */
  read(into: Uint8Array): number | Promise<number>;
}

/**
 * Makes a machine from a stream.
 *
 * @param source The stream
 * @param options How
 * @returns The machine, not started; dispose it to free what it holds
 * @throws {DocumentError} Naming the record at fault; nothing is left behind
 * @throws {HostError} If the host can't provide the machine
 */
export async function loadStream(
  source: StreamSource,
  options: LoadOptions = {},
): Promise<Machine> {
  return await loadStreams([source], options);
}

/**
 * Makes a machine from a stream and others with what has changed since.
 *
 * @param sources The streams, each of the changes since the one before
 * @param options How
 * @returns The machine, not started; dispose it to free what it holds
 * @throws {DocumentError} Naming the record at fault; nothing is left behind
 * @throws {HostError} If the host can't provide the machine
 */
export async function loadStreams(
  sources: Iterable<StreamSource>,
  options: LoadOptions = {},
): Promise<Machine> {
  await using loading = new StreamLoading(options);
  for (const source of sources) {
    loading.begin();
    const reader = new StreamReader(loading, options);
    while (!reader.done) {
      const pending = source.read(reader.place);
      const count = typeof pending === "number" ? pending : await pending;
      if (count === 0) reader.close();
      reader.advance(count);
      if (loading.busy) await loading.prepare();
    }
  }
  return await loading.finish();
}

/**
 * Makes a machine from a stream whose memory is to come while the machine runs: what somebody touches that
 * has not come yet is waited for.
 *
 * @param source The stream, or a file with one, whose descriptor becomes the machine's
 * @param options How
 * @param found Told of the records that were asked for, if the source has a new working set
 * @returns The machine, not started; its `filled` tells what becomes of its memory
 * @throws {DocumentError} Naming the record at fault; nothing is left behind
 * @throws {HostError} If the host can't provide the machine, or lets this user have nobody wait for memory
 */
export async function loadLazily(
  source: ArrivingSource,
  options: LoadOptions,
  found: (workingSet: readonly string[], machine: Machine) => void = () => {},
): Promise<Machine> {
  await using stack = new AsyncDisposableStack();
  const arriving = stack.use(await ArrivingMemory.open(source));
  await using loading = new StreamLoading({ ...options, arriving });
  loading.begin();
  for (const [name, content] of arriving.state) {
    loading.record(name, content);
    if (loading.busy) await loading.prepare();
  }
  const machine = await loading.finish();
  stack.use(machine);
  await arriving.run();
  endWithoutMemory(machine);
  if (source.workingSet === "new") {
    arriving.workingSet.then((names) => found(names, machine), () => {});
  }
  stack.move();
  return machine;
}
