/**
 * The state of a VM, for who takes it as a stream. Memory is read by that process itself, from the files
 * behind it, while the VM is held.
 *
 * @module
 */
import { VmError } from "../../../ffi/errors.ts";
import type { TrapByte } from "../../../vmm/debug/code_patches.ts";
import { type SlotRecord, slotRecords } from "../../../vmm/debug/process_memory.ts";
import type { FrozenMachine, Machine } from "../../../vmm/machine.ts";
import { saveMachine } from "../../../vmm/state/machine_state.ts";
import type { SavedRegion } from "../../../vmm/state/regions.ts";
import { type Records, stateRecords } from "../../../vmm/state/save_stream.ts";
import type { RpcClient } from "../json_rpc.ts";
import type { MethodGroup } from "../methods.ts";

/** A VM that is held for its state to be taken. */
export interface HeldState {
  /** The process whose memory it is. */
  readonly pid: number;
  readonly slots: readonly SlotRecord[];
  readonly traps: readonly TrapByte[];
  readonly regions: readonly SavedRegion[];
  /** Records before memory, and behind it. */
  readonly machine: Records;
  readonly state: Records;
}

/**
 * The state of a machine that is frozen.
 *
 * @param machine The machine
 * @param frozen What its `freeze` shows
 */
export function heldState(machine: Machine, frozen: FrozenMachine): HeldState {
  const snapshot = saveMachine(machine, frozen);
  return {
    pid: Deno.pid,
    slots: slotRecords(machine.slots),
    traps: machine.traps,
    regions: snapshot.regions,
    ...stateRecords(snapshot),
  };
}

/** The group `state`. */
export const methods: MethodGroup = (vm) => {
  const { machine } = vm;
  /** Who holds the VM, and what lets it go. */
  const holds = new Map<RpcClient, () => void>();

  return {
    /** Holds the VM until the same client lets it go, or is gone. */
    hold: (_params, client): Promise<HeldState> => {
      if (holds.has(client)) throw new VmError("The VM is held by this client already");
      const released = Promise.withResolvers<void>();
      const shown = Promise.withResolvers<HeldState>();
      holds.set(client, released.resolve);
      client.gone.addEventListener("abort", () => released.resolve());
      machine.freeze(async (frozen) => {
        if (client.gone.aborted) return;
        shown.resolve(heldState(machine, frozen));
        await Promise.race([released.promise, machine.ended]);
      }).catch(shown.reject).finally(() => holds.delete(client));
      return shown.promise;
    },
    /** Lets the VM go that this client holds: it goes on, or ends where it stands. */
    release: async ({ end }, client) => {
      const release = holds.get(client);
      if (release === undefined) throw new VmError("The VM is not held by this client");
      const ended = end === true ? machine.stop() : undefined;
      release();
      return ended === undefined ? vm.handle() : vm.record(await ended);
    },
  };
};
