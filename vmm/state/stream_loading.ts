/**
 * A machine from the records of its state, in any order but for the first.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { VmDocument } from "../document.ts";
import { Machine } from "../machine.ts";
import { MachineMemory } from "../memory.ts";
import { requireBacking, saveDevices } from "./device_state.ts";
import type { SavedDisk } from "./disk_content.ts";
import type { DiskFiles } from "./disk_files.ts";
import { FIRST, readFirstRecord } from "./first_record.ts";
import { fwCfgFromJson } from "./fw_cfg_json.ts";
import type { ArrivingMemory } from "./lazy/arriving_memory.ts";
import { requireHostRoom } from "./host_room.ts";
import { parseRecord } from "./json_fields.ts";
import { restoreMachine, type RestoreOptions } from "./machine_state.ts";
import { BOARD, isState, MOVING, parseDiskName, parseMemoryName, SECOND } from "./record_names.ts";
import { type RecordedChange, recordedSnapshot } from "./recorded_snapshot.ts";
import { type RegionFile, requireShared, type SavedRegion } from "./regions.ts";
import { rehearse } from "./rehearsal.ts";
import type { StreamTarget } from "./stream_reader.ts";
import { END } from "./stream_writer.ts";
import { keepUnknown, unknownKeys } from "./unknown_keys.ts";

/** How a machine is made from a stream. */
export interface LoadOptions extends RestoreOptions, RecordedChange {
  /** Take records that somebody has changed as they are. Default false. */
  readonly edited?: boolean;
  /** Devices whose files somebody has named for this machine: these may be any. */
  readonly named?: ReadonlySet<string>;
  /** Changes the document before the machine is made: a disk's path, the name. */
  readonly change?: (document: VmDocument) => VmDocument;
  /**
   * Told of the machine, which is made with the first record then: what it opens nobody else may have,
   * and it need not be made while the other side's stands. How it gets its state is rehearsed then.
   */
  readonly made?: (machine: Machine) => Promise<void>;
  /** Told of what stands between rounds of memory. */
  readonly moving?: (record: Json) => void;
  /** Where bytes of regions are already, by their names. */
  readonly files?: ReadonlyMap<string, RegionFile>;
  /** Takes the disks that are in the stream. */
  readonly disks?: DiskFiles;
  /** Brings memory while the machine runs, which then owns it. */
  readonly arriving?: ArrivingMemory;
}

/** Bytes of all records but memory's: a stream may have as many as it likes. */
const MOST_KEPT = 2 ** 29;

/**
 * Collects a state's records, in any order but for the first.
 */
export class StreamLoading implements StreamTarget, AsyncDisposable {
  readonly #options: LoadOptions;
  readonly #records = new Map<string, Uint8Array<ArrayBuffer>>();
  #document: VmDocument | undefined;
  #regions: readonly SavedRegion[] = [];
  #machine: Machine | undefined;
  /** Until it is the machine's. */
  #memory: MachineMemory | undefined;
  #views = new Map<string, Uint8Array>();
  #unknown: Record<string, Json> = {};
  /** The snapshot that is there so far, and whether the stream's first record has come. */
  #id: string | undefined;
  #begun = false;
  #kept = 0;

  /** @param options How the machine is made */
  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Whether {@linkcode prepare} is to be awaited before the next record is begun. */
  get busy(): boolean {
    return this.#memory === undefined && this.#machine === undefined &&
      this.#document !== undefined && (!this.#wantsFwCfg || this.#records.has(SECOND));
  }

  get #wantsFwCfg(): boolean {
    return this.#document?.boot?.firmware !== undefined;
  }

  /** Another stream begins; one behind the first has what has changed since. */
  begin(): void {
    this.#begun = false;
  }

  record(name: string, content: Uint8Array<ArrayBuffer>): void {
    if (name === FIRST) return this.#first(content);
    if (this.#document === undefined) throw early(name, FIRST);
    if (parseDiskName(name) !== undefined) return this.#options.disks?.record(name, content);
    if (name === MOVING) return this.#options.moving?.(parseRecord(name, content));
    if (!isState(name)) return; // a later version's
    this.#kept += content.length - (this.#records.get(name)?.length ?? 0);
    if (this.#kept > MOST_KEPT) {
      throw new DocumentError(`${name}: the stream's records have more than ${MOST_KEPT} bytes`);
    }
    this.#records.set(name, content);
  }

  memory(name: string, size: number): Uint8Array {
    const place = parseMemoryName(name);
    const view = this.#views.get(place?.region ?? "");
    if (view === undefined) {
      if (this.#views.size > 0) throw new DocumentError(`${name} is of no region`);
      throw early(name, this.#document === undefined ? FIRST : SECOND);
    }
    const { region, offset } = place!;
    if (offset + size > view.length) {
      throw new DocumentError(`${name} has ${size} bytes, past the end of ${region}`);
    }
    return view.subarray(offset, offset + size);
  }

  /** Makes the memory, once what the machine is is known. */
  async prepare(): Promise<void> {
    this.#requireFiles();
    requireHostRoom(this.#regions);
    const { files, arriving } = this.#options;
    const memory = this.#memory = MachineMemory.restored(this.#regions, files, arriving);
    for (const { name, base, size, shared } of this.#regions) {
      if (shared === undefined) this.#views.set(name, memory.guest.bytes(base, size));
    }
    if (this.#options.made === undefined) return;
    const machine = await this.#make();
    await rehearse(machine, this.#options);
    await this.#options.made(machine);
  }

  async #make(): Promise<Machine> {
    const fwCfg = this.#records.get(SECOND);
    const memory = this.#memory!;
    this.#memory = undefined; // whatever becomes of the machine, it is its own
    return this.#machine = await Machine.resumed(this.#document!, {
      regions: this.#regions,
      memory,
      arriving: this.#options.moved === true,
      ...(fwCfg === undefined ? {} : { fwCfg: fwCfgFromJson(parseRecord(SECOND, fwCfg), SECOND) }),
    });
  }

  /**
   * The stream is whole: puts the machine into its state.
   *
   * @returns The machine, which is the caller's from here on
   * @throws {DocumentError} Naming the record at fault
   */
  async finish(): Promise<Machine> {
    if (this.#memory === undefined && this.#machine === undefined) {
      throw new DocumentError(
        `The stream has no ${this.#document === undefined ? FIRST : SECOND}`,
      );
    }
    this.#options.disks?.place();
    const machine = this.#machine ?? await this.#make();
    const snapshot = await recordedSnapshot(
      machine,
      this.#regions,
      this.#records,
      this.#options,
    );
    const { force, disks, named = new Set() } = this.#options;
    if (!force) {
      requireShared(this.#regions, machine.slots);
      const known = new Set([...named, ...disks?.names ?? []]);
      await machine.freeze((frozen) => requireBacking(frozen, snapshot.devices, known));
    }
    await restoreMachine(machine, snapshot, this.#options);
    const known = await machine.freeze(saveDevices);
    const devices = unknownKeys(snapshot.devices, known);
    keepUnknown(machine, { state: this.#unknown, devices });
    this.#views.clear();
    disks?.keep();
    this.#machine = undefined;
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#views.clear();
    this.#memory?.[Symbol.dispose]();
    await this.#machine?.[Symbol.asyncDispose]();
  }

  /** Files that are mapped must be whole regions: behind a file's end a page would be a SIGBUS. */
  #requireFiles(): void {
    for (const [name, { size }] of this.#options.files ?? []) {
      const region = this.#regions.find((region) => region.name === name);
      if (region === undefined) throw new DocumentError(`mem/${name} is of no region`);
      if (region.size === size) continue;
      throw new DocumentError(`mem/${name} has ${size} bytes, but its region ${region.size}`);
    }
  }

  #first(content: Uint8Array<ArrayBuffer>): void {
    // Tar has it that the last one counts, but here it came too late.
    if (this.#begun) throw new DocumentError(`${FIRST} is there twice`);
    this.#begun = true;
    const { document, regions, id, base, disks, unknown } = readFirstRecord(content);
    this.#requireBase(base, regions);
    this.#id = id;
    this.#unknown = unknown;
    this.#regions = regions;
    this.#document = this.#withDisks(disks, this.#options.change?.(document) ?? document);
  }

  /** Disks that come in the stream are where they are put, or where somebody has named another. */
  #withDisks(saved: readonly SavedDisk[], document: VmDocument): VmDocument {
    const { disks, force, named = new Set() } = this.#options;
    const inside = saved.filter(({ name }) => !named.has(name));
    if (disks !== undefined && saved.length === 0) {
      throw new DocumentError("The stream has no disks inside", { hint: "hvsh snapshot --disks" });
    }
    if (disks !== undefined) return disks.begin(inside, document);
    if (inside.length === 0 || force) return document;
    const names = inside.map(({ name }) => name);
    throw new DocumentError(`The stream has disks inside: ${names.join(" ")}`, {
      hint: `--disks FOLDER puts them there; --set ${names[0]}.path=FILE names another`,
    });
  }

  /** Changes belong to the one snapshot that they are the changes since. */
  #requireBase(base: string | undefined, regions: readonly SavedRegion[]): void {
    if (this.#document === undefined) {
      if (base === undefined) return;
      throw new DocumentError(`${FIRST}: the stream has only what has changed since another`, {
        hint: "hvsh restore BASE --diff CHANGES",
      });
    }
    if (base === undefined || base !== this.#id) {
      throw new DocumentError(`${FIRST}: the stream has not what has changed since the one before`);
    }
    if (JSON.stringify(regions) === JSON.stringify(this.#regions)) return;
    throw new DocumentError(`${FIRST}, state.memory: is not that of the stream before`);
  }
}

function early(name: string, before: string): DocumentError {
  return new DocumentError(`${name} comes before ${before}`, {
    hint: `tar c ${FIRST} ${SECOND} mem cpu dev ${BOARD} ${END}`,
  });
}
