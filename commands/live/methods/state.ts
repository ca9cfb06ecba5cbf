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
import {
  type Records,
  type SnapshotIdentity,
  stateRecords,
} from "../../../vmm/state/save_stream.ts";
import type { RpcClient } from "../json_rpc.ts";
import type { MethodGroup } from "../methods.ts";
import { whileThere } from "../while_there.ts";

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
  /** What has changed since the snapshot that was named: for each slot a bit a page, as base64. */
  readonly dirty?: readonly string[];
}

/** A snapshot since which changes are noted. */
interface Tracked {
  readonly id: string;
  /** Of the log that notes them. */
  readonly generation: number;
}

/**
 * The state of a machine that is frozen.
 *
 * @param machine The machine
 * @param frozen What its `freeze` shows
 * @param identity Which snapshot it becomes
 */
export function heldState(
  machine: Machine,
  frozen: FrozenMachine,
  identity: SnapshotIdentity = { id: crypto.randomUUID() },
): HeldState {
  const snapshot = saveMachine(machine, frozen);
  return {
    pid: Deno.pid,
    slots: slotRecords(machine.slots),
    traps: machine.traps,
    regions: snapshot.regions,
    ...stateRecords(snapshot, identity),
  };
}

/** The group `state`. */
export const methods: MethodGroup = (vm) => {
  const { machine } = vm;
  /** Who holds the VM, and what lets it go, with its state taken or not. */
  const holds = new Map<RpcClient, (taken: boolean) => void>();
  let tracked: Tracked | undefined;

  /** What has changed since the tracked snapshot; from here on it is noted anew. */
  const changes = (since: unknown): Uint8Array<ArrayBuffer>[] | undefined => {
    const log = machine.dirtyLog;
    if (log.fixed) throw new VmError("The VM is being migrated");
    const noted = log.on && tracked?.generation === log.generation;
    if (since !== undefined && !(noted && tracked?.id === since)) {
      throw new VmError("Nobody has noted what has changed since that snapshot", {
        hint: "hvsh snapshot --track, and then --diff with what that wrote",
      });
    }
    if (noted) return log.take();
    log.start({ fixed: false });
    return undefined;
  };

  return {
    /**
     * Holds the VM until the same client lets it go, or is gone. `track` has what changes from then on
     * noted; `since` is the snapshot whose changes are asked for.
     */
    hold: ({ track, since }, client): Promise<HeldState> => {
      if (holds.has(client)) throw new VmError("The VM is held by this client already");
      const released = Promise.withResolvers<boolean>();
      const shown = Promise.withResolvers<HeldState>();
      holds.set(client, released.resolve);
      client.gone.addEventListener("abort", () => released.resolve(false));
      const freeze = async (frozen: FrozenMachine) => {
        await machine.flushDisks();
        if (client.gone.aborted) return;
        const follows = track === true || since !== undefined;
        const dirty = follows ? changes(since) : undefined;
        const { generation } = machine.dirtyLog;
        const id = crypto.randomUUID();
        let taken = false;
        try {
          const base = typeof since === "string" ? { base: since } : {};
          shown.resolve({
            ...heldState(machine, frozen, { id, ...base }),
            ...(since === undefined ? {} : { dirty: dirty!.map((bits) => bits.toBase64()) }),
          });
          taken = await Promise.race([released.promise, machine.ended.then(() => false)]);
        } finally {
          if (taken && follows) tracked = { id, generation };
          else if (dirty !== undefined) machine.dirtyLog.putBack(dirty);
        }
      };
      // The client reads memory by the files behind it, where all of it has to be.
      machine.filled.then(() => machine.flushDisks()).then(() => machine.freeze(freeze))
        .catch(shown.reject).finally(() => holds.delete(client));
      return whileThere(shown.promise, client.gone);
    },
    /** Lets the VM go that this client holds: it goes on, or ends where it stands. */
    release: async ({ end }, client) => {
      const release = holds.get(client);
      if (release === undefined) throw new VmError("The VM is not held by this client");
      const ended = end === true ? machine.stop() : undefined;
      release(true);
      return ended === undefined ? vm.handle() : vm.record(await ended);
    },
  };
};
