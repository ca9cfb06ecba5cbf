/**
 * What a VM's owner does when it is asked by its control socket. A method is named `GROUP.METHOD`;
 * each group is a file of its own, which is loaded when it is first asked for, so that a VM which
 * nobody looks into starts without it.
 *
 * @module
 */
import type { VmEnd } from "../../vmm/end.ts";
import type { Machine } from "../../vmm/machine.ts";
import type { ConsoleTap } from "./console_tap.ts";
import type { EventLog } from "./event_log.ts";
import type { FindMethod, Methods } from "./json_rpc.ts";
import { methods as control } from "./methods/control.ts";
import type { ExitRecord, Handle } from "./owner.ts";
import type { RunDirectory } from "./run_directory.ts";

/** A VM as methods see it. */
export interface OwnedVm {
  /** The VM. */
  readonly machine: Machine;
  /** Its name. */
  readonly name: string;
  /** Its folder. */
  readonly directory: RunDirectory;
  /** What its console has said, and says. */
  readonly console: ConsoleTap;
  /** What has happened to it, and happens. */
  readonly events: EventLog;
  /** Whether a terminal of this process has its console. */
  readonly foreground: boolean;
  /** When it was started, in milliseconds since 1970. */
  readonly started: number;
  /** What others see of it now. */
  handle(): Handle;
  /** What others are told of its end. */
  record(end: VmEnd): ExitRecord;
  /** Waits for its end; no later `wait` hears of it then, unless who asks is gone before. */
  exit(gone: AbortSignal): Promise<ExitRecord>;
}

/** Makes a group's methods for one VM. */
export type MethodGroup = (vm: OwnedVm) => Methods;

const GROUPS: Readonly<Record<string, () => Promise<{ methods: MethodGroup }>>> = {
  console: () => import("./methods/console.ts"),
  control: () => Promise.resolve({ methods: control }), // what `list` asks a hundred VMs at once
  debug: () => import("./methods/debug.ts"),
  device: () => import("./methods/device.ts"),
  events: () => import("./methods/events.ts"),
  fork: () => import("./methods/fork.ts"),
  inject: () => import("./methods/inject.ts"),
  inspect: () => import("./methods/inspect.ts"),
  migration: () => import("./methods/migration.ts"),
  state: () => import("./methods/state.ts"),
  watch: () => import("./methods/watch.ts"),
};

/**
 * Finds the methods of a VM.
 *
 * @param vm The VM
 * @returns The method of a name; undefined if there is none
 */
export function methodFinder(vm: OwnedVm): FindMethod {
  const loaded = new Map<string, Promise<Methods>>();
  return async (name) => {
    const [group = "", method = ""] = name.split(".", 2);
    if (!Object.hasOwn(GROUPS, group)) return undefined;
    const methods = loaded.get(group) ?? GROUPS[group]!().then(({ methods }) => methods(vm));
    loaded.set(group, methods);
    const found = await methods;
    return Object.hasOwn(found, method) ? found[method] : undefined;
  };
}
