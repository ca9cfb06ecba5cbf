/**
 * What live VMs have that a word may name: VMs, devices, registers, symbols. Whoever asks is a person at a
 * key, so a VM that does not answer at once has nothing.
 *
 * @module
 */
import { registerNames } from "../../vmm/debug/debug_scope.ts";
import { registerGroups } from "../../vmm/debug/register_files.ts";
import type { DeviceEntry } from "../../vmm/document.ts";
import type { LiveKind } from "../live_kinds.ts";
import { call } from "../live/json_rpc.ts";
import { findVm, findVms, type RunDirectory } from "../live/run_directory.ts";
import { readStatus } from "../live/status_file.ts";
import { type Candidate, plain } from "./candidate.ts";
import { deviceWords } from "./device_words.ts";
import { withinTime } from "./within_time.ts";

/** Where in a verb's line the word stands. */
export interface ValuePlace {
  /** The VM that the line is about. */
  readonly vm?: string | undefined;
  /** The verb's arguments before the word, the VM not among them. */
  readonly before: readonly string[];
}

/** Gives a VM's symbols by the start of their names. */
export interface SymbolNames {
  /**
   * Says that they will be asked for.
   *
   * @param vm The VM
   */
  prepare(vm: RunDirectory): void;
  /**
   * @param vm The VM
   * @param start What they start with
   * @returns Names; none if they are not known in time
   */
  starting(vm: RunDirectory, start: string): Promise<readonly string[]>;
}

/** How long a VM has to answer, in milliseconds. */
const ANSWER_MS = 200;
/** More are of no use to a person. */
const MOST_SYMBOLS = 500;
const NAME_AT_END = /[A-Za-z_][\w.$]*$/;

/** Finds what words may be. */
export interface LiveSource {
  /**
   * What a word may be.
   *
   * @param kind Its kind
   * @param place Where it stands
   * @param word Its start
   * @returns Words; those that do not start with `word` may be among them
   */
  values(kind: LiveKind, place: ValuePlace, word: string): Promise<readonly Candidate[]>;
  /**
   * Says that the symbols of the VM that is meant will be asked for.
   *
   * @param place Where in a line
   */
  prepareSymbols(place: ValuePlace): void;
}

/**
 * Asks the VMs of this host.
 *
 * @param symbols Gives their symbols
 */
export function liveSource(symbols: SymbolNames): LiveSource {
  return {
    values: (kind, place, word) => liveValues(kind, place, word, symbols),
    prepareSymbols: (place) =>
      void ask(place, (vm) => {
        symbols.prepare(vm);
        return Promise.resolve();
      }),
  };
}

async function liveValues(
  kind: LiveKind,
  place: ValuePlace,
  word: string,
  symbols: SymbolNames,
): Promise<Candidate[]> {
  switch (kind) {
    case "vm":
    case "paused-vm":
    case "running-vm":
      return vms(kind);
    case "device":
      return (await devices(place)).map(({ name, type }) => ({ word: name!, help: type }));
    case "device-word":
      return (await deviceWordsAt(place)).map(({ word, help }) => ({ word, help }));
    case "device-value":
      return plain(
        (await deviceWordsAt(place)).find((w) => w.word === place.before[1])?.values ?? [],
      );
    case "register":
      return await registers(place);
    case "register-setting":
      return (await registers(place)).map(setting);
    case "register-group":
      return plain([...registerGroups, "all"]);
    case "symbol":
      return await symbolsAt(place, word, symbols);
    case "condition":
      return await conditionNames(place, word, symbols);
    case "device-verb":
      return []; // the table of verbs knows them
  }
}

/** Names with their states. A VM whose state is not to be seen may be in any. */
function vms(kind: "vm" | "paused-vm" | "running-vm"): Candidate[] {
  return findVms().flatMap((vm) => {
    const state = readStatus(vm)?.state;
    if (kind !== "vm" && state !== undefined && !kind.startsWith(state)) return [];
    return [{ word: vm.name, ...(state === undefined ? {} : { help: state }) }];
  });
}

async function devices(place: ValuePlace): Promise<DeviceEntry[]> {
  return await ask(
    place,
    async ({ control }, signal) => await call(control, "device.list", {}, signal) as DeviceEntry[],
  ) ?? [];
}

async function deviceWordsAt(place: ValuePlace) {
  const device = (await devices(place)).find(({ name }) => name === place.before[0]);
  return device !== undefined && Object.hasOwn(deviceWords, device.type)
    ? deviceWords[device.type]!
    : [];
}

/** Those of the VM with their values; without one, those that each has. */
async function registers(place: ValuePlace): Promise<Candidate[]> {
  const found = await ask(place, async ({ control }, signal) => {
    const params = { cpu: 0, names: ["all"] };
    return await call(control, "inspect.registers", params, signal) as {
      registers: Record<string, string>;
    }[];
  });
  const values = found?.[0]?.registers;
  if (values === undefined) return plain(registerNames);
  return Object.entries(values).map(([word, help]) => ({ word, help }));
}

/** The word goes on with the value. */
function setting({ word, ...rest }: Candidate): Candidate {
  return { ...rest, word: `${word}=`, label: word, partial: true };
}

async function symbolsAt(
  place: ValuePlace,
  start: string,
  symbols: SymbolNames,
): Promise<Candidate[]> {
  const found = await ask(place, (vm) => symbols.starting(vm, start));
  return plain((found ?? []).slice(0, MOST_SYMBOLS));
}

/** The name at the end of the condition so far. */
async function conditionNames(
  place: ValuePlace,
  word: string,
  symbols: SymbolNames,
): Promise<Candidate[]> {
  const [name = ""] = NAME_AT_END.exec(word) ?? [];
  const before = word.slice(0, word.length - name.length);
  const named = [
    ...plain(registerNames),
    ...name === "" ? [] : await symbolsAt(place, name, symbols),
  ];
  return named.filter((candidate) => candidate.word.startsWith(name)).map((candidate) => ({
    word: before + candidate.word,
    label: candidate.word,
    partial: true,
  }));
}

/** Asks the VM that is meant; undefined if there is none, or it does not say in time. */
async function ask<T>(
  { vm: name }: ValuePlace,
  question: (vm: RunDirectory, signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  try {
    const vm = name === undefined ? theOnlyVm() : findVm(name);
    return vm === undefined
      ? undefined
      : await withinTime(ANSWER_MS, (signal) => question(vm, signal));
  } catch {
    return undefined; // it has ended, or it is no VM's name
  }
}

/** Where no VM is named but handles come from the stage before: most often it is this one. */
function theOnlyVm(): RunDirectory | undefined {
  const [only, another] = findVms();
  return another === undefined ? only : undefined;
}
