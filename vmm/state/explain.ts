/**
 * What a saved state wants of its host, part by part, and whether that is there. Nothing is made of it.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { OpenFlag, readTextFile } from "../../ffi/files.ts";
import { call } from "../../ffi/kvm/call.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { featuresOf } from "../cpu/features.ts";
import type { DeviceEntry, VmDocument } from "../document.ts";
import { Machine } from "../machine.ts";
import { formatSize } from "../size.ts";
import { boardFromJson } from "./board_state.ts";
import { missingFeatures } from "./compatibility.ts";
import { deviceNeed, type Need, tried, withFile } from "./device_need.ts";
import { FIRST, readFirstRecord } from "./first_record.ts";
import { objectOf, parseRecord } from "./json_fields.ts";
import { isSameRate, vcpusFromJson } from "./machine_state.ts";
import type { SavedRegion } from "./regions.ts";
import { STREAM_VERSION } from "./save_stream.ts";

export type { Need };

/** A state's records, but for memory's, by their names. */
export type StateRecordBytes = ReadonlyMap<string, Uint8Array>;

const BOARD = "board.json";
/** Any machine at all: it is not started. */
const PROBE = { memory: [{ type: "ram" as const, size: 4096 }], devices: [] };

/**
 * Lists what a state wants.
 *
 * @param records Its records
 * @param change What differs here, of the document
 * @param named Devices whose files somebody has named for this host
 * @param disks Whether disks that are inside are to be written
 * @returns Its parts, in the order of its records
 * @throws {DocumentError} If it is no state
 */
export async function needsOf(
  records: StateRecordBytes,
  change: (document: VmDocument) => VmDocument,
  named: ReadonlySet<string>,
  disks: boolean,
): Promise<Need[]> {
  const first = records.get(FIRST);
  if (first === undefined) throw new DocumentError(`The stream has no ${FIRST}`);
  const { document: saved, regions, disks: content } = readFirstRecord(first);
  const document = change(saved);
  const inside = new Set(content.map(({ name }) => name).filter((name) => !named.has(name)));
  const backing = (name: string) => {
    const record = records.get(`dev/${name}.json`);
    if (record === undefined) return undefined;
    return objectOf(parseRecord(`dev/${name}.json`, record)).backing;
  };
  return [
    { part: "format", wants: `version ${STREAM_VERSION}`, ok: true },
    cpusNeed(document),
    ...await vcpuNeeds(document, records),
    memoryNeed(regions),
    ...regions.flatMap(sharedNeed),
    ...(document.devices ?? []).map((entry) =>
      inside.has(entry.name ?? "") ? insideNeed(entry, disks) : deviceNeed(entry, backing, named)
    ),
  ];
}

function insideNeed({ name = "disk" }: DeviceEntry, disks: boolean): Need {
  return tried(
    name,
    "a file for the disk, which is inside",
    () => disks ? undefined : "--disks FOLDER says where it is to be",
  );
}

function cpusNeed({ cpus = 1 }: VmDocument): Need {
  return tried("cpus", `${cpus} vCPU${cpus === 1 ? "" : "s"}`, () => {
    using kvm = new Kvm();
    const most = kvm.capability(Capability.MAX_VCPUS);
    return cpus <= most ? undefined : `this host's KVM has ${most} at most`;
  });
}

/** A vCPU and the board, as far as that can be told without making them. */
async function vcpuNeeds(document: VmDocument, records: StateRecordBytes): Promise<Need[]> {
  const { irqchip = true, cpu = {} } = document;
  const parsed = (name: string) => {
    const content = records.get(name);
    return content === undefined ? undefined : parseRecord(name, content);
  };
  const boot = { flat: { images: [{ data: "9A==", base: 0 }] } };
  await using probe = await Machine.create({ vm: 1, ...PROBE, cpu, irqchip, boot });
  return await probe.inspect((inside) => {
    const needs: Need[] = [];
    for (let id = 0; id < (document.cpus ?? 1); id++) {
      const name = `cpu/${id}.json`;
      const record = parsed(name);
      let features: readonly string[] = [];
      let missing: readonly string[] = [];
      needs.push(tried(`cpu/${id}`, "a vCPU's state", () => {
        if (record === undefined) return `there is no ${name}`;
        const [state] = vcpusFromJson(inside, probe, new Map([[0, record]]));
        if (id > 0) return undefined;
        features = featuresOf(state!.cpuid);
        missing = missingFeatures(state!.cpuid, inside.vcpus[0]!.getCpuid());
        return undefined;
      }));
      if (id === 0) needs.push(featureNeed(features, missing));
    }
    needs.push(tried("tsc", "its time stamp counters' rate", () => {
      const record = parsed(BOARD);
      const wanted = record === undefined ? 0 : boardFromJson(record, BOARD).clock.tscKhz;
      const given = call(inside.vcpus[0]!.fd, "GET_TSC_KHZ");
      using kvm = new Kvm();
      if (isSameRate(wanted, given) || kvm.capability(Capability.TSC_CONTROL) > 0) return undefined;
      return `they count ${wanted} times a millisecond, and here ${given}`;
    }));
    needs.push(tried("board", irqchip ? "interrupt controllers, timer, clock" : "a clock", () => {
      const record = parsed(BOARD);
      if (record === undefined) return `there is no ${BOARD}`;
      const { board } = boardFromJson(record, BOARD);
      return irqchip && board === undefined ? `${BOARD} has no "ioapic"` : undefined;
    }));
    return needs;
  });
}

function featureNeed(features: readonly string[], missing: readonly string[]): Need {
  const ok = missing.length === 0;
  return {
    part: "features",
    wants: `${features.length} CPU features`,
    ok,
    ...(ok ? {} : { why: `this host's CPU lacks ${missing.join(" ")}` }),
  };
}

function memoryNeed(regions: readonly SavedRegion[]): Need {
  const size = regions.reduce(
    (sum, { size, shared }) => sum + (shared === undefined ? size : 0),
    0,
  );
  return tried("memory", formatSize(size), () => {
    const line = /^MemAvailable: +(\d+) kB$/m.exec(readTextFile("/proc/meminfo"));
    const available = Number(line?.[1] ?? Infinity) * 1024;
    return size <= available ? undefined : `${formatSize(available)} are free`;
  });
}

function sharedNeed({ name, shared }: SavedRegion): Need[] {
  if (shared === undefined) return [];
  const { path } = shared;
  return [tried(name, `${path}, shared`, () => withFile(path, OpenFlag.RDWR, () => undefined))];
}
