/**
 * What copies of a VM are made from, in processes of their own.
 *
 * @module
 */
import { VmError } from "../../../ffi/errors.ts";
import { forkSource } from "../../../vmm/state/fork.ts";
import type { RegionFile } from "../../../vmm/state/regions.ts";
import { type Records, stateRecords } from "../../../vmm/state/save_stream.ts";
import type { MethodGroup } from "../methods.ts";

/** A VM to be copied: its state, and where its memory is. */
export interface ForkRecord {
  /** The process whose files they are. */
  readonly pid: number;
  /** Files of its memory, by regions' names. */
  readonly files: readonly (readonly [region: string, file: RegionFile])[];
  /** Records as of a stream: what the machine is, and how it stands. */
  readonly machine: Records;
  readonly state: Records;
  /** Whether it is paused. */
  readonly paused: boolean;
}

/** The group `fork`. */
export const methods: MethodGroup = ({ machine }) => ({
  /** For copies that are made as long as the client is there. */
  source: async (_params, { gone }): Promise<ForkRecord> => {
    if (machine.traps.length > 0) {
      throw new VmError("A VM with breakpoints in its code can't be forked", {
        hint: "hvsh break NAME --delete all",
      });
    }
    const source = await forkSource(machine);
    const { snapshot, files } = source;
    const end = () => source[Symbol.dispose]();
    if (gone.aborted) end();
    else gone.addEventListener("abort", end);
    return {
      pid: Deno.pid,
      files: [...files],
      paused: machine.state !== "running",
      ...stateRecords(snapshot),
    };
  },
});
