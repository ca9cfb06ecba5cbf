/**
 * A machine's state by its records.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { Machine } from "../machine.ts";
import { boardFromJson } from "./board_state.ts";
import { requireFeatures } from "./compatibility.ts";
import type { DeviceRecord } from "./device_state.ts";
import { field, objectOf, parseRecord } from "./json_fields.ts";
import { type MachineSnapshot, vcpusFromJson } from "./machine_state.ts";
import { BOARD, CPU, DEVICE } from "./record_names.ts";
import type { SavedRegion } from "./regions.ts";

/** What of records is not taken as it is. */
export interface RecordedChange {
  /** Take a state that wants CPU features which this host has not, and files that have changed. Default false. */
  readonly force?: boolean;
  /** Changes a device's record before it is put into the device. */
  readonly changeDevice?: (
    name: string,
    record: Readonly<Record<string, Json>>,
  ) => Record<string, Json>;
}

/**
 * Reads records.
 *
 * @param machine The machine that is to have the state
 * @param regions Its memory
 * @param records The records' bytes, by name
 * @param options What is not taken as it is
 * @throws {DocumentError} Naming the record at fault
 * @throws {VmError} If the host lacks CPU features
 */
export async function recordedSnapshot(
  machine: Machine,
  regions: readonly SavedRegion[],
  records: ReadonlyMap<string, Uint8Array>,
  { force, changeDevice }: RecordedChange,
): Promise<MachineSnapshot> {
  const vcpus = new Map<number, Json>();
  const devices: DeviceRecord[] = [];
  for (const [name, content] of records) {
    const cpu = CPU.exec(name)?.[1];
    const device = DEVICE.exec(name)?.[1];
    if (cpu !== undefined) vcpus.set(Number(cpu), parseRecord(name, content));
    if (device !== undefined) {
      const record = field(name, "the record", () => objectOf(parseRecord(name, content)));
      const changed = changeDevice?.(device, record) ?? record;
      devices.push({ ...changed, name: device } as DeviceRecord);
    }
  }
  const cpus = machine.document.cpus ?? 1;
  for (let id = 0; id < cpus; id++) {
    if (!vcpus.has(id)) throw new DocumentError(`The stream has no cpu/${id}.json`);
  }
  const board = recordedBoard(machine, records);
  const states = await machine.inspect((inside) => {
    const states = vcpusFromJson(inside, machine, vcpus);
    if (!force) requireFeatures(states[0]!.cpuid, inside.vcpus[0]!.getCpuid());
    return states;
  });
  return { document: machine.document, regions, vcpus: states, board, devices };
}

function recordedBoard(machine: Machine, records: ReadonlyMap<string, Uint8Array>) {
  const record = records.get(BOARD);
  if (record === undefined) throw new DocumentError(`The stream has no ${BOARD}`);
  const board = boardFromJson(parseRecord(BOARD, record), BOARD);
  if (!machine.interruptible || board.board !== undefined) return board;
  throw new DocumentError(`${BOARD} has no "ioapic", but the machine has one`, {
    hint: '"irqchip" of vm.json says whether there are interrupt controllers',
  });
}
