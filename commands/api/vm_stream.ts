/**
 * The state of a VM of this process as a stream, and a VM from one.
 *
 * @module
 */
import { loadStream } from "../../vmm/state/load_stream.ts";
import type { Machine } from "../../vmm/machine.ts";
import { saveMachine } from "../../vmm/state/machine_state.ts";
import { ownMemory } from "../../vmm/state/own_memory.ts";
import { stateRecords, writeMemory, writeRecords } from "../../vmm/state/save_stream.ts";
import type { LoadOptions } from "../../vmm/state/stream_loading.ts";
import { StreamWriter } from "../../vmm/state/stream_writer.ts";
import { ChunkSource } from "../live/chunk_source.ts";
import { Vm } from "./vm.ts";

/** How a VM goes on from a stream. */
export interface RestoreVmOptions extends Pick<LoadOptions, "edited" | "force" | "clockStopped"> {
  /** It waits for `resume` before its next instruction. Default false. */
  readonly paused?: boolean;
}

/**
 * A machine's state as a stream; the machine stands until the stream has been read, or given up.
 *
 * @param machine The machine
 */
export function streamOf(machine: Machine): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { readable, writable } = new TransformStream<
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>
  >();
  const sink = writable.getWriter();
  const save = machine.freeze(async (frozen) => {
    await machine.flushDisks();
    const snapshot = saveMachine(machine, frozen);
    const { machine: first, state } = stateRecords(snapshot);
    const writer = new StreamWriter({
      async write(pieces) {
        await sink.write(joined(pieces));
      },
    });
    await writeRecords(writer, [...first, ...state]);
    await writeMemory(writer, snapshot.regions, ownMemory(frozen.memory));
    await writer.end();
    await sink.close();
  });
  // Whoever reads hears of it.
  save.catch((error) => sink.abort(error).catch(() => {}));
  return readable;
}

/**
 * Has a VM go on in this process from a saved state.
 *
 * @param stream What `snapshot` gave, here or elsewhere
 * @param options How
 * @returns The VM; dispose it to end it
 * @throws {DocumentError} If the stream is cut off or was changed, naming the record
 * @throws {HostError} If the host can't provide the VM
 * @example
 * ```ts
 * import { create, restore } from "../../mod.ts";
 * import assert from "node:assert/strict";
 *
 * // inc word [0x500]; jmp back
 * const count = Uint8Array.of(0xff, 0x06, 0x00, 0x05, 0xeb, 0xfa);
 * await using vm = await create({ memory: "1M" }).flat(count).start();
 * await using copy = await restore(vm.snapshot(), { paused: true });
 * await vm.kill();
 * const before = await copy.memory.read(0x500, 2);
 * copy.resume();
 * while (`${await copy.memory.read(0x500, 2)}` === `${before}`);
 * assert.equal(copy.state, "running");
 * ```
 */
export async function restore(
  stream: AsyncIterable<Uint8Array>,
  { paused = false, ...options }: RestoreVmOptions = {},
): Promise<Vm> {
  return new Vm(await loadStream(new ChunkSource(stream), options), { paused });
}

/** Pieces as one, since the machine goes on before they are read. */
function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
