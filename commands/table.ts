/**
 * The table of verbs. Each one's file is loaded when its word is used, so that a filter in a
 * pipeline starts without the rest.
 *
 * @module
 */
import { givesRecords } from "./invoke.ts";
import { outputFlag } from "./output.ts";
import type { Flag, Verb } from "./verb.ts";

/** How objects are written, for verbs that do not lay them out by themselves. */
const formatFlag: Readonly<Record<"output", Flag>> = {
  output: { ...outputFlag.output, help: "json, table or name" },
};
/** The flag of all verbs but mere filters, which have nothing to say. */
const quietFlag: Readonly<Record<"quiet", Flag>> = {
  quiet: { short: "q", help: "neither notes nor progress on stderr" },
};

const files = {
  create: () => import("./verbs/create.ts"),
  cpu: () => import("./verbs/cpu.ts"),
  map: () => import("./verbs/map.ts"),
  kernel: () => import("./verbs/kernel.ts"),
  initrd: () => import("./verbs/initrd.ts"),
  cmdline: () => import("./verbs/cmdline.ts"),
  flat: () => import("./verbs/flat.ts"),
  multiboot: () => import("./verbs/multiboot.ts"),
  firmware: () => import("./verbs/firmware.ts"),
  serial: () => import("./verbs/serial.ts"),
  disk: () => import("./verbs/disk.ts"),
  net: () => import("./verbs/net.ts"),
  console: () => import("./verbs/console.ts"),
  share: () => import("./verbs/share.ts"),
  rng: () => import("./verbs/rng.ts"),
  watchdog: () => import("./verbs/watchdog.ts"),
  vsock: () => import("./verbs/vsock.ts"),
  balloon: () => import("./verbs/balloon.ts"),
  device: () => import("./verbs/device.ts"),
  run: () => import("./verbs/run.ts"),
  list: () => import("./verbs/list.ts"),
  status: () => import("./verbs/status.ts"),
  wait: () => import("./verbs/wait.ts"),
  pause: () => import("./verbs/pause.ts"),
  resume: () => import("./verbs/resume.ts"),
  step: () => import("./verbs/step.ts"),
  break: () => import("./verbs/break.ts"),
  gdb: () => import("./verbs/gdb.ts"),
  stop: () => import("./verbs/stop.ts"),
  reset: () => import("./verbs/reset.ts"),
  attach: () => import("./verbs/attach.ts"),
  "detach-device": () => import("./verbs/detach_device.ts"),
  ctl: () => import("./verbs/ctl.ts"),
  inject: () => import("./verbs/inject.ts"),
  detach: () => import("./verbs/detach.ts"),
  events: () => import("./verbs/events.ts"),
  log: () => import("./verbs/log.ts"),
  stat: () => import("./verbs/stat.ts"),
  trace: () => import("./verbs/trace.ts"),
  perf: () => import("./verbs/perf.ts"),
  top: () => import("./verbs/top.ts"),
  watch: () => import("./verbs/watch.ts"),
  regs: () => import("./verbs/regs.ts"),
  mem: () => import("./verbs/mem.ts"),
  disasm: () => import("./verbs/disasm.ts"),
  core: () => import("./verbs/core.ts"),
  screen: () => import("./verbs/screen.ts"),
  kill: () => import("./verbs/kill.ts"),
  snapshot: () => import("./verbs/snapshot.ts"),
  restore: () => import("./verbs/restore.ts"),
  migrate: () => import("./verbs/migrate.ts"),
  fork: () => import("./verbs/fork.ts"),
  mount: () => import("./verbs/mount.ts"),
  help: () => import("./verbs/help.ts"),
  schema: () => import("./verbs/schema.ts"),
  completions: () => import("./verbs/completions.ts"),
  doctor: () => import("./verbs/doctor.ts"),
  version: () => import("./verbs/version.ts"),
} satisfies Record<string, () => Promise<{ verb: Verb }>>;

/** The words of all verbs, in the order of help. */
export const verbNames: readonly string[] = Object.keys(files);

/**
 * Loads a verb's row.
 *
 * @param name Its word
 * @returns The row, or undefined if there is no such verb
 */
export async function loadVerb(name: string): Promise<Verb | undefined> {
  if (!Object.hasOwn(files, name)) return undefined;
  return withSharedFlags((await files[name as keyof typeof files]()).verb);
}

/** Loads every row, in the order of {@linkcode verbNames}. */
export async function loadVerbs(): Promise<Verb[]> {
  return await Promise.all(
    Object.values(files).map(async (load) => withSharedFlags((await load()).verb)),
  );
}

/** Flags that are the same everywhere; `invoke` heeds them. */
function withSharedFlags(verb: Verb): Verb {
  if (verb.run === undefined) return verb;
  const output = givesRecords(verb) && verb.flags.output === undefined ? formatFlag : {};
  return { ...verb, flags: { ...verb.flags, ...output, ...quietFlag } };
}
