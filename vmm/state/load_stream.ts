/**
 * A machine from a stream, as that arrives: its memory is made as soon as the first record is there and
 * filled in place. All else is made once the stream has proved whole: until then nothing that it names is
 * opened, so that whoever writes it may still have its disks and taps.
 *
 * @module
 */
import { DocumentError, VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { VmDocument } from "../document.ts";
import { Machine } from "../machine.ts";
import { MachineMemory } from "../memory.ts";
import { boardFromJson } from "./board_state.ts";
import { missingFeatures } from "./compatibility.ts";
import { type DeviceRecord, requireBacking, saveDevices } from "./device_state.ts";
import { FIRST, readFirstRecord } from "./first_record.ts";
import { fwCfgFromJson } from "./fw_cfg_json.ts";
import { field, objectOf, parseRecord } from "./json_fields.ts";
import {
  type MachineSnapshot,
  restoreMachine,
  type RestoreOptions,
  saveMachine,
  vcpusFromJson,
} from "./machine_state.ts";
import { type RegionFile, requireShared, type SavedRegion } from "./regions.ts";
import { stateRecords } from "./save_stream.ts";
import { END } from "./stream_writer.ts";
import { keepUnknown, unknownKeys } from "./unknown_keys.ts";
import { StreamReader, type StreamTarget } from "./stream_reader.ts";

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

/** How a machine is made from a stream. */
export interface LoadOptions extends RestoreOptions {
  /** Take records that somebody has changed as they are. Default false. */
  readonly edited?: boolean;
  /** Take a state that wants CPU features which this host has not, and files that have changed. Default false. */
  readonly force?: boolean;
  /** Devices whose files somebody has named for this machine: these may be any. */
  readonly named?: ReadonlySet<string>;
  /** Changes the document before the machine is made: a disk's path, the name. */
  readonly change?: (document: VmDocument) => VmDocument;
  /** Changes a device's record before it is put into the device. */
  readonly changeDevice?: (
    name: string,
    record: Readonly<Record<string, Json>>,
  ) => Record<string, Json>;
  /**
   * Told of the machine, which is made with the first record then: what it opens nobody else may have,
   * and it need not be made while the other side's stands. How it gets its state is rehearsed then.
   */
  readonly made?: (machine: Machine) => Promise<void>;
  /** Where bytes of regions are already, by their names. */
  readonly files?: ReadonlyMap<string, RegionFile>;
}

const SECOND = "fw_cfg.json";
const BOARD = "board.json";
const CPU = /^cpu\/(0|[1-9][0-9]{0,3})\.json$/;
const DEVICE = /^dev\/([A-Za-z0-9._-]+)\.json$/;
const MEMORY = /^mem\/([a-z]+[0-9]+)\/0x([0-9a-f]{1,13})$/;
/** Bytes of all records but memory's: a stream may have as many as it likes. */
const MOST_KEPT = 2 ** 29;

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
    const known = name === SECOND || name === BOARD || CPU.test(name) || DEVICE.test(name);
    if (!known) return; // a later version's
    this.#kept += content.length - (this.#records.get(name)?.length ?? 0);
    if (this.#kept > MOST_KEPT) {
      throw new DocumentError(`${name}: the stream's records have more than ${MOST_KEPT} bytes`);
    }
    this.#records.set(name, content);
  }

  memory(name: string, size: number): Uint8Array {
    const [, region, place] = MEMORY.exec(name) ?? [];
    const view = region === undefined ? undefined : this.#views.get(region);
    if (view === undefined) {
      if (this.#views.size > 0) throw new DocumentError(`${name} is of no region`);
      throw early(name, this.#document === undefined ? FIRST : SECOND);
    }
    const offset = parseInt(place!, 16);
    if (offset + size > view.length) {
      throw new DocumentError(`${name} has ${size} bytes, past the end of ${region}`);
    }
    return view.subarray(offset, offset + size);
  }

  /** Makes the memory, once what the machine is is known. */
  async prepare(): Promise<void> {
    this.#requireFiles();
    const memory = this.#memory = MachineMemory.restored(this.#regions, this.#options.files);
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
    const machine = this.#machine ?? await this.#make();
    const snapshot = await this.#snapshot(machine);
    const { force, named = new Set() } = this.#options;
    if (!force) {
      requireShared(this.#regions, machine.slots);
      await machine.freeze((frozen) => requireBacking(frozen, snapshot.devices, named));
    }
    await restoreMachine(machine, snapshot, this.#options);
    const known = await machine.freeze(saveDevices);
    const devices = unknownKeys(snapshot.devices, known);
    keepUnknown(machine, { state: this.#unknown, devices });
    this.#views.clear();
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
    const { document, regions, id, base, unknown } = readFirstRecord(content);
    this.#requireBase(base, regions);
    this.#id = id;
    this.#unknown = unknown;
    this.#regions = regions;
    this.#document = this.#options.change?.(document) ?? document;
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

  async #snapshot(machine: Machine): Promise<MachineSnapshot> {
    const vcpus = new Map<number, Json>();
    const devices: DeviceRecord[] = [];
    for (const [name, content] of this.#records) {
      const cpu = CPU.exec(name)?.[1];
      const device = DEVICE.exec(name)?.[1];
      if (cpu !== undefined) vcpus.set(Number(cpu), parseRecord(name, content));
      if (device !== undefined) {
        const record = field(name, "the record", () => objectOf(parseRecord(name, content)));
        const changed = this.#options.changeDevice?.(device, record) ?? record;
        devices.push({ ...changed, name: device } as DeviceRecord);
      }
    }
    const cpus = machine.document.cpus ?? 1;
    for (let id = 0; id < cpus; id++) {
      if (!vcpus.has(id)) throw new DocumentError(`The stream has no cpu/${id}.json`);
    }
    const record = this.#records.get(BOARD);
    if (record === undefined) throw new DocumentError(`The stream has no ${BOARD}`);
    const board = boardFromJson(parseRecord(BOARD, record), BOARD);
    if (machine.interruptible && board.board === undefined) {
      throw new DocumentError(`${BOARD} has no "ioapic", but the machine has one`, {
        hint: '"irqchip" of vm.json says whether there are interrupt controllers',
      });
    }
    const states = await machine.inspect((inside) => {
      const states = vcpusFromJson(inside, machine, vcpus);
      if (!this.#options.force) requireFeatures(states[0]!.cpuid, inside.vcpus[0]!.getCpuid());
      return states;
    });
    return {
      document: machine.document,
      regions: this.#regions,
      vcpus: states,
      board,
      devices,
    };
  }
}

/**
 * Puts a machine into the state that it has, by all that is done to one that arrives: what is to be loaded,
 * asked of KVM or compiled for that has been then.
 */
async function rehearse(machine: Machine, options: LoadOptions): Promise<void> {
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

function early(name: string, before: string): DocumentError {
  return new DocumentError(`${name} comes before ${before}`, {
    hint: `tar c ${FIRST} ${SECOND} mem cpu dev ${BOARD} ${END}`,
  });
}

type Cpuid = MachineSnapshot["vcpus"][number]["cpuid"];

function requireFeatures(wanted: Cpuid, given: Cpuid): void {
  const missing = missingFeatures(wanted, given);
  if (missing.length === 0) return;
  throw new VmError(`cpu/0.json: this host's CPU lacks ${missing.join(" ")}`, {
    hint:
      "`hvsh restore --force` tries all the same; a guest of `hvsh cpu --template minimal` needs " +
      "none of them",
  });
}
