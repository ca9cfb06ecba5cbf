/**
 * What takes time when a machine is restored, done before its state is there.
 *
 * @module
 */
import type { Machine } from "../machine.ts";
import { boardFromJson } from "./board_state.ts";
import { missingFeatures } from "./compatibility.ts";
import { parseRecord } from "./json_fields.ts";
import {
  restoreMachine,
  type RestoreOptions,
  saveMachine,
  vcpusFromJson,
} from "./machine_state.ts";
import { BOARD } from "./record_names.ts";
import { stateRecords } from "./save_stream.ts";

/**
 * Puts a machine into the state that it has, by all that is done to one that arrives: what is to be loaded,
 * asked of KVM or compiled for that has been then.
 *
 * @param machine The machine, not started
 * @param options How it is to be restored
 */
export async function rehearse(machine: Machine, options: RestoreOptions): Promise<void> {
  const snapshot = await machine.freeze((frozen) => saveMachine(machine, frozen));
  const records = new Map(
    stateRecords(snapshot).state.map(([name, value]) => {
      const bytes = new TextEncoder().encode(JSON.stringify(value));
      return [name, parseRecord(name, bytes)] as const;
    }),
  );
  const board = boardFromJson(records.get(BOARD)!, BOARD);
  const cpus = new Map(snapshot.vcpus.map((_, id) => [id, records.get(`cpu/${id}.json`)!]));
  const vcpus = await machine.inspect((inside) => {
    missingFeatures(snapshot.vcpus[0]!.cpuid, inside.vcpus[0]!.getCpuid());
    return vcpusFromJson(inside, machine, cpus);
  });
  const own = { ...snapshot, vcpus, board, devices: [] };
  await restoreMachine(machine, own, { ...options, rehearsal: true });
}
