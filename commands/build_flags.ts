/**
 * The builders as flags of `run`, made from their rows of the table, so that one line does what a
 * pipeline of them does.
 *
 * @module
 */
import { UsageError } from "../ffi/errors.ts";
import type { VmDocument } from "../vmm/document.ts";
import { memorySize } from "./amounts.ts";
import { argumentKey, parseWords } from "./argv.ts";
import { parseValue } from "./argv_value.ts";
import { quotedWords } from "./quoted_words.ts";
import { sniffedFlag } from "./sniffed_image.ts";
import { inlineStdin } from "./stdin_image.ts";
import type { Flag, Value, Verb, Words } from "./verb.ts";
import { verb as balloon } from "./verbs/balloon.ts";
import { verb as cmdline } from "./verbs/cmdline.ts";
import { verb as console } from "./verbs/console.ts";
import { verb as cpu } from "./verbs/cpu.ts";
import { ioThreads, reboot, verb as create } from "./verbs/create.ts";
import { verb as device } from "./verbs/device.ts";
import { verb as disk } from "./verbs/disk.ts";
import { verb as firmware } from "./verbs/firmware.ts";
import { verb as flat } from "./verbs/flat.ts";
import { verb as initrd } from "./verbs/initrd.ts";
import { verb as kernel } from "./verbs/kernel.ts";
import { verb as map } from "./verbs/map.ts";
import { verb as multiboot } from "./verbs/multiboot.ts";
import { verb as net } from "./verbs/net.ts";
import { verb as rng } from "./verbs/rng.ts";
import { verb as serial } from "./verbs/serial.ts";
import { verb as share } from "./verbs/share.ts";
import { verb as vsock } from "./verbs/vsock.ts";
import { verb as watchdog } from "./verbs/watchdog.ts";

/** In the order in which they are applied. */
const BUILDERS = [
  cpu,
  map,
  kernel,
  initrd,
  cmdline,
  flat,
  multiboot,
  firmware,
  serial,
  disk,
  net,
  console,
  share,
  rng,
  watchdog,
  vsock,
  balloon,
  device,
];

/** The flags, and the argument, that say what boots: with one of them no document is read. */
const BOOTS = ["image", "kernel", "flat", "multiboot", "firmware"];

/** `run`'s flags that build a document. */
export const buildFlags: Readonly<Record<string, Flag>> = [create, ...BUILDERS].reduce(
  addFlags,
  {},
);

/**
 * Whether the words say themselves what boots, so that there is no document to wait for on stdin.
 *
 * @param words The words of `run`
 */
export function bootsFromWords(words: Words): boolean {
  return BOOTS.some((name) => words[name] !== undefined);
}

/** Where relative paths start, and how `-` is read. */
export interface BuildPlace {
  readonly cwd: string;
  /** Reads stdin to its end; called at most once. */
  readonly readStdin: () => Promise<Uint8Array>;
}

/**
 * Builds a document from flags.
 *
 * @param document The document from stdin; what `create` gives if left out
 * @param words Words of {@linkcode buildFlags}, and `image`, a file whose kind is found out
 * @param place Where relative paths start, and how `-` is read
 * @returns The document
 * @throws {HvshError} As the builders do
 */
export async function applyBuildFlags(
  document: VmDocument | undefined,
  words: Words,
  place: BuildPlace,
): Promise<VmDocument> {
  const { image } = words;
  let given = words;
  if (image !== undefined) {
    const { image: _, ...others } = words;
    given = withFlag(others, sniffedFlag(image as string, place.cwd), image as string);
  }
  if (given.flat !== undefined) {
    given = { ...given, flat: await inlineStdin(given.flat as readonly string[], place.readStdin) };
  }
  refuseIdleFlags(given);
  const start = document === undefined
    ? create.build!({ vm: 1 }, given, place.cwd)
    : changed(document, given);
  return BUILDERS.reduce((built, verb) => applied(verb, built, given, place.cwd), start);
}

/** The image that was named without a flag comes first. */
function withFlag(words: Words, name: string, value: string): Words {
  const before = words[name];
  if (buildFlags[name]!.repeat !== true) return { ...words, [name]: value };
  return { ...words, [name]: [value, ...(before as readonly string[] ?? [])] };
}

/** What `create`'s flags change of a document that is there already. */
function changed(document: VmDocument, words: Words): VmDocument {
  const { name, cpus, memory } = words;
  const created = create.build!({ vm: 1 }, words, "/");
  const entries = document.memory ?? [];
  const ram = entries.findIndex(({ type }) => type === "ram");
  const size = memory === undefined ? undefined : memorySize(memory as number);
  return {
    ...document,
    ...(name === undefined ? {} : { name: created.name }),
    ...(cpus === undefined ? {} : { cpus: created.cpus }),
    ...ioThreads(words),
    ...reboot(words),
    ...(size === undefined ? {} : {
      memory: ram < 0
        ? [{ type: "ram" as const, size }, ...entries]
        : entries.map((entry, i) => i === ram ? { ...entry, size } : entry),
    }),
  };
}

function applied(verb: Verb, document: VmDocument, words: Words, cwd: string): VmDocument {
  const own = words[verb.name];
  const lifted = (verb.inline?.flags ?? []).filter((name) => words[name] !== undefined);
  if (verb.inline?.value === "line") {
    return (own as readonly string[] ?? []).reduce(
      (built, line) => verb.build!(built, parseWords(verb, quotedWords(line)), cwd),
      document,
    );
  }
  // A verb that boots takes its flags only when it is the one that boots: `--entry` is the kernel's
  // or the flat image's.
  if (own === undefined && (verb.inline?.value !== undefined || lifted.length === 0)) {
    return document;
  }
  const [argument] = verb.arguments;
  return verb.build!(document, {
    ...(own === undefined ? {} : { [argumentKey(argument!)]: own }),
    ...Object.fromEntries(lifted.map((name) => [name, lift(name, words[name]!, verb)])),
  }, cwd);
}

/** A flag that two verbs have with different kinds was taken as text. */
function lift(name: string, value: Value, verb: Verb): Value {
  const { value: kind } = verb.flags[name]!;
  if (typeof value !== "string" || kind === undefined) return value;
  try {
    return parseValue(value, kind);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(`--${name} with --${verb.name}: ${error.message}`, { cause: error });
  }
}

/** Refuses `--mode` without `--flat`, which would do nothing. */
function refuseIdleFlags(words: Words): void {
  for (const name of Object.keys(words)) {
    const owners = BUILDERS.filter(({ inline }) => inline?.flags?.includes(name));
    if (owners.length === 0) continue;
    const active = ({ inline, name }: Verb) =>
      inline?.value === undefined || words[name] !== undefined;
    if (owners.some(active)) continue;
    throw new UsageError(
      `--${name} does nothing without ${owners.map((verb) => `--${verb.name}`).join(" or ")}`,
    );
  }
}

function addFlags(flags: Record<string, Flag>, verb: Verb): Record<string, Flag> {
  const { inline } = verb;
  const added: Record<string, Flag> = {};
  if (inline?.value === "line") {
    // The arguments of one that can be run too are a live VM's.
    const given = verb.run === undefined ? verb.arguments : [];
    const metavar = `'${given.map(({ name }) => name).join(" ") || "FLAGS"}'`;
    const value = given[0]?.value === "path" ? "path" : "text"; // such a line begins with a path
    added[verb.name] = { value, metavar, repeat: true, help: verb.summary };
  } else if (inline?.value === "word") {
    const argument = verb.arguments[0]!;
    added[verb.name] = {
      value: argument.value,
      metavar: argument.name,
      ...(argument.repeat === true ? { repeat: true } : {}),
      help: verb.summary,
    };
  }
  for (const name of inline?.flags ?? []) added[name] = verb.flags[name]!;
  const merged = Object.entries(added).map(([name, flag]) => {
    const before = flags[name];
    return [name, before === undefined ? flag : either(before, flag)];
  });
  return { ...flags, ...Object.fromEntries(merged) };
}

function either(a: Flag, b: Flag): Flag {
  return { value: "text", metavar: `${a.metavar}|${b.metavar}`, help: `${a.help}; ${b.help}` };
}
