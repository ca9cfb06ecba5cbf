/**
 * A machine from a stream, as that arrives: made as soon as the first record is there, its memory filled
 * in place, and put into its state once the stream has proved whole.
 *
 * @module
 */
import { DocumentError, VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import { parseDocument, type VmDocument } from "../document.ts";
import type { GuestMemory } from "../guest_memory.ts";
import { Machine } from "../machine.ts";
import { closeSlots, openSlots } from "../memory.ts";
import { boardFromJson } from "./board_state.ts";
import { missingFeatures } from "./compatibility.ts";
import type { DeviceRecord } from "./device_state.ts";
import { fwCfgFromJson } from "./fw_cfg_json.ts";
import { field, objectOf, parseRecord } from "./json_fields.ts";
import {
  type MachineSnapshot,
  restoreMachine,
  type RestoreOptions,
  vcpusFromJson,
} from "./machine_state.ts";
import { type RegionFile, regionsFromJson, type SavedRegion } from "./regions.ts";
import { STREAM_VERSION } from "./save_stream.ts";
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
  /** Take a state that wants CPU features which this host has not. Default false. */
  readonly force?: boolean;
  /** Changes the document before the machine is made: a disk's path, the name. */
  readonly change?: (document: VmDocument) => VmDocument;
  /** Changes a device's record before it is put into the device. */
  readonly changeDevice?: (
    name: string,
    record: Readonly<Record<string, Json>>,
  ) => Record<string, Json>;
  /** Where bytes of regions are already, by their names. */
  readonly files?: ReadonlyMap<string, RegionFile>;
}

const FIRST = "vm.json";
const CPU = /^cpu\/([0-9]+)\.json$/;
const DEVICE = /^dev\/([A-Za-z0-9._-]+)\.json$/;
const MEMORY = /^mem\/([a-z]+[0-9]+)\/0x([0-9a-f]+)$/;

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
  await using loading = new StreamLoading(options);
  const reader = new StreamReader(loading, options);
  while (!reader.done) {
    const pending = source.read(reader.place);
    const count = typeof pending === "number" ? pending : await pending;
    if (count === 0) reader.close();
    reader.advance(count);
    if (loading.busy) await loading.prepare();
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
  #memory: GuestMemory | undefined;
  #views = new Map<string, Uint8Array>();

  /** @param options How the machine is made */
  constructor(options: LoadOptions) {
    this.#options = options;
  }

  /** Whether {@linkcode prepare} is to be awaited before the next record is begun. */
  get busy(): boolean {
    return this.#machine === undefined && this.#document !== undefined &&
      (this.#wantsFwCfg ? this.#records.has("fw_cfg.json") : true);
  }

  get #wantsFwCfg(): boolean {
    return this.#document?.boot?.firmware !== undefined;
  }

  record(name: string, content: Uint8Array<ArrayBuffer>): void {
    if (name === FIRST) return this.#first(content);
    if (this.#document === undefined) throw new DocumentError(`${name} comes before ${FIRST}`);
    this.#records.set(name, content);
  }

  memory(name: string, size: number): Uint8Array {
    const [, region, place] = MEMORY.exec(name) ?? [];
    const view = region === undefined ? undefined : this.#views.get(region);
    if (view === undefined) {
      const why = this.#machine === undefined ? `comes before ${FIRST}` : "is of no region";
      throw new DocumentError(`${name} ${why}`);
    }
    const offset = parseInt(place!, 16);
    if (offset + size > view.length) {
      throw new DocumentError(`${name} has ${size} bytes, past the end of ${region}`);
    }
    return view.subarray(offset, offset + size);
  }

  /** Makes the machine, once what it is is known. */
  async prepare(): Promise<void> {
    const { files } = this.#options;
    const fwCfg = this.#records.get("fw_cfg.json");
    const machine = this.#machine = await Machine.resumed(this.#document!, {
      regions: this.#regions,
      ...(files === undefined ? {} : { files }),
      ...(fwCfg === undefined
        ? {}
        : { fwCfg: fwCfgFromJson(parseRecord("fw_cfg.json", fwCfg), "fw_cfg.json") }),
    });
    this.#memory = openSlots(machine.slots);
    for (const { name, base, size, shared } of this.#regions) {
      if (shared === undefined) this.#views.set(name, this.#memory.bytes(base, size));
    }
  }

  /**
   * The stream is whole: puts the machine into its state.
   *
   * @returns The machine, which is the caller's from here on
   * @throws {DocumentError} Naming the record at fault
   */
  async finish(): Promise<Machine> {
    const machine = this.#machine;
    if (machine === undefined) throw new DocumentError(`The stream has no ${FIRST}`);
    await restoreMachine(machine, await this.#snapshot(machine), this.#options);
    this.#closeMemory();
    this.#machine = undefined;
    return machine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closeMemory();
    await this.#machine?.[Symbol.asyncDispose]();
  }

  #closeMemory(): void {
    if (this.#memory !== undefined) closeSlots(this.#memory);
    this.#memory = undefined;
    this.#views.clear();
  }

  #first(content: Uint8Array<ArrayBuffer>): void {
    if (this.#document !== undefined) return; // a later round's, for who reads the archive
    const json = field(FIRST, "the record", () => objectOf(parseRecord(FIRST, content)));
    const { state, ...document } = json;
    const { version, memory } = field(FIRST, "state", () => objectOf(state));
    if (version !== STREAM_VERSION) {
      throw new DocumentError(
        `${FIRST}: the stream has version ${version}, not ${STREAM_VERSION}`,
        {
          hint: "a newer hvsh reads it",
        },
      );
    }
    const checked = parseDocument(document, FIRST);
    this.#regions = regionsFromJson(memory, FIRST);
    this.#document = this.#options.change?.(checked) ?? checked;
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
    const board = this.#records.get("board.json");
    if (board === undefined) throw new DocumentError("The stream has no board.json");
    const states = await machine.inspect((inside) => {
      const states = vcpusFromJson(inside, machine, vcpus);
      if (!this.#options.force) requireFeatures(states[0]!.cpuid, inside.vcpus[0]!.getCpuid());
      return states;
    });
    return {
      document: machine.document,
      regions: this.#regions,
      vcpus: states,
      board: boardFromJson(parseRecord("board.json", board), "board.json"),
      devices,
    };
  }
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
