/**
 * `memory`: guest-physical memory. Reads are answered by the thread that takes the requests.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { GuestError } from "../../ffi/errors.ts";
import { ProcessMemory } from "../../vmm/debug/process_memory.ts";
import { physicalAccess } from "../live/memory_access.ts";
import type { MemoryRecord } from "../live/methods/inspect.ts";
import { type Asker, FileError, type FileNode, type OpenFile } from "./node.ts";
import type { VmPlace } from "./vm_place.ts";

const PATH = "memory";
const MODE = 0o600;

/**
 * The file, as long as the memory; what is no memory in between reads as zeros.
 *
 * @param place Its VM
 */
export function memoryFile(place: VmPlace): FileNode {
  return {
    kind: "file",
    attributes: async () => {
      const memory = await place.memory().catch(() => undefined);
      return { mode: MODE, size: memory === undefined ? 0 : endOf(memory) };
    },
    open: (_, asker) =>
      place.attempt(PATH, async () => {
        const record = await place.ask("inspect.memory", {}, asker) as MemoryRecord;
        const { closed } = await place.connection();
        return new OpenMemory(place, record, closed);
      }),
  };
}

function endOf({ slots }: MemoryRecord): number {
  return slots.reduce((end, { base, size }) => Math.max(end, base + size), 0);
}

class OpenMemory implements OpenFile {
  readonly #place: VmPlace;
  readonly #record: MemoryRecord;
  readonly #memory: ProcessMemory;
  readonly #ended: AbortSignal;
  #handle = 0;
  readonly #end = () => this.#place.tree.orderMemory({ fh: this.#handle, place: undefined });

  constructor(place: VmPlace, record: MemoryRecord, ended: AbortSignal) {
    this.#place = place;
    this.#record = record;
    this.#memory = new ProcessMemory(record.pid, record.slots, record.traps);
    this.#ended = ended;
  }

  opened(handle: number): void {
    this.#handle = handle;
    if (this.#ended.aborted) return;
    const { pid, slots, traps } = this.#record;
    const place = { pid, slots, traps, end: endOf(this.#record) };
    this.#place.tree.orderMemory({ fh: handle, place });
    // A mapping would stay readable when its VM is gone.
    this.#ended.addEventListener("abort", this.#end);
  }

  /** What the other thread does not answer any more. */
  read(): never {
    throw this.#place.gone();
  }

  async write(bytes: Uint8Array<ArrayBuffer>, position: bigint, asker: Asker): Promise<void> {
    await this.#place.attempt(PATH, async () => {
      if (this.#ended.aborted) throw this.#place.gone();
      try {
        physicalAccess(this.#memory).write(position, bytes);
      } catch (error) {
        if (!(error instanceof GuestError)) throw error;
        throw new FileError(Errno.EIO, error.message, { cause: error });
      }
      await this.#place.ask("inspect.written", { ranges: this.#memory.takeWritten() }, asker);
    });
  }

  seek(position: bigint, kind: "data" | "hole"): bigint | undefined {
    const end = endOf(this.#record);
    const at = Number(position);
    if (at >= end) return undefined;
    const ranges = this.#memory.written(at, end);
    if (kind === "data") {
      for (const { start } of ranges) return BigInt(start);
      return undefined;
    }
    let hole = at;
    for (const { start, end } of ranges) {
      if (start > hole) break;
      hole = end;
    }
    return BigInt(hole);
  }

  close(): void {
    this.#ended.removeEventListener("abort", this.#end);
    this.#end();
    this.#memory[Symbol.dispose]();
  }
}
