/**
 * `ctl`: words in, and the words that are valid now out.
 *
 * @module
 */
import { resolve } from "node:path";
import { Errno } from "../../ffi/errno.ts";
import { VmError } from "../../ffi/errors.ts";
import { parseDocument } from "../../vmm/document.ts";
import { nearestWord } from "../../vmm/nearest_word.ts";
import { detach } from "../live/detach.ts";
import { callToEnd } from "../live/json_rpc.ts";
import { exitRecord, type Handle } from "../live/owner.ts";
import { faultOf } from "./error_log.ts";
import { type Asker, FileError, type FileNode } from "./node.ts";
import { runToEnd } from "./own_process.ts";
import { textFile } from "./text_file.ts";
import { LineError, type VmPlace } from "./vm_place.ts";

/** What a word is obeyed in: a draft, or a machine's states. */
type Situation = "draft" | "created" | "running" | "paused";

/** A word. */
interface Word {
  /** How what may stand behind it is called. */
  readonly argument?: string;
  /** Whether it can't be left out. */
  readonly needed?: boolean;
  readonly valid: readonly Situation[];
  run(place: VmPlace, argument: string, asker: Asker): Promise<void>;
}

/** What takes as long as it is told to. */
const LONG_SECONDS = 600;
/** How long a guest may take to turn itself off before its plug is pulled. */
const POWER_OFF_SECONDS = 30;
/** How long one who has pressed the power button waits to see it off. */
const STOP_SECONDS = 1;
/** How long a VM may take to start. */
const START_SECONDS = 120;

const LIVE = ["created", "running", "paused"] as const;

/** A word that is a method of the owner's without parameters. */
const plain = (valid: readonly Situation[], method: string): Word => ({
  valid,
  run: async (place, _, asker) => void await place.ask(method, {}, asker),
});

const WORDS: Readonly<Record<string, Word>> = {
  run: { argument: "paused", valid: ["draft"], run: start },
  pause: plain(["running"], "control.pause"),
  resume: plain(["paused"], "control.resume"),
  step: { argument: "N", valid: ["paused"], run: step },
  reset: plain(["running", "paused"], "control.reset"),
  stop: { valid: LIVE, run: powerOff },
  kill: { valid: LIVE, run: kill },
  nmi: plain(["running", "paused"], "inject.nmi"),
  snapshot: { argument: "PATH", needed: true, valid: LIVE, run: snapshot },
};

/**
 * The file.
 *
 * @param place Its VM
 */
export function ctlFile(place: VmPlace): FileNode {
  return textFile({
    read: (asker) => place.attempt("ctl", () => validWords(place, asker)),
    write: (text, asker) => place.attempt("ctl", () => obey(place, text, asker), text),
  });
}

async function validWords(place: VmPlace, asker: Asker): Promise<string> {
  const now = await situation(place, asker);
  return Object.entries(WORDS)
    .filter(([, { valid }]) => valid.includes(now))
    .map(([word, { argument, needed }]) => {
      if (argument === undefined) return `${word}\n`;
      return `${word} ${needed === true ? argument : `[${argument}]`}\n`;
    }).join("");
}

async function situation(place: VmPlace, asker: Asker): Promise<Situation> {
  if (!place.live) {
    if (place.tree.drafts.has(place.name)) return "draft";
    throw place.gone();
  }
  return (await place.ask("control.status", {}, asker) as Handle).state as Situation;
}

/** Every line is understood before the first is obeyed. */
async function obey(place: VmPlace, text: string, asker: Asker): Promise<void> {
  const orders = text.split("\n").filter((line) => line.trim() !== "").map(parse);
  if (!place.live && !place.tree.drafts.has(place.name)) throw place.gone();
  for (const { line, word, argument } of orders) {
    if (!place.live && !WORDS[word]!.valid.includes("draft")) {
      throw new LineError(`Cannot ${word} a VM that does not run`, { line, column: 0 }, "run");
    }
    await WORDS[word]!.run(place, argument, asker);
  }
}

function parse(line: string): { line: string; word: string; argument: string } {
  const [, space, word, argument] = /^(\s*)(\S+)\s*(.*?)\s*$/s.exec(line)!;
  const column = space!.length;
  const known = Object.hasOwn(WORDS, word!) ? WORDS[word!]! : undefined;
  if (known === undefined) {
    const near = nearestWord(word!, Object.keys(WORDS));
    const hint = near === undefined ? Object.keys(WORDS).join(" ") : `did you mean ${near}?`;
    throw new LineError(`There is no word "${word}"`, { line, column }, hint);
  }
  if (known.argument === undefined && argument !== "") {
    const at = line.indexOf(argument!, column + word!.length);
    throw new LineError(`"${word}" stands alone`, { line, column: at });
  }
  if (known.needed === true && argument === "") {
    throw new LineError(`"${word}" needs ${known.argument}`, { line, column: line.length });
  }
  return { line, word: word!, argument: argument! };
}

async function start(place: VmPlace, argument: string, asker: Asker): Promise<void> {
  const { name, tree: { drafts } } = place;
  if (argument !== "" && argument !== "paused") {
    const line = `run ${argument}`;
    throw new LineError(`"${argument}" is not paused`, faultOf(line, argument));
  }
  if (place.live || drafts.isStarting(name)) {
    throw new FileError(Errno.EBUSY, `VM "${name}" runs already`);
  }
  const text = drafts.text(name);
  if (text === undefined) throw place.gone();
  const document = parseDocument({ ...JSON.parse(text), name }, "config.json");
  const started = detach({ run: document, options: { paused: argument === "paused" } });
  await place.bounded(drafts.starting(name, started), asker, START_SECONDS);
}

async function step(place: VmPlace, argument: string, asker: Asker): Promise<void> {
  await steps(place, 0, argument, asker);
}

/**
 * Has a vCPU of a paused VM carry out instructions.
 *
 * @param place The VM
 * @param cpu The vCPU
 * @param argument How many, as text; one if there is none
 * @param asker Who waits for it
 * @returns The last step; undefined if the guest has ended
 */
export async function steps(
  place: VmPlace,
  cpu: number,
  argument: string,
  asker: Asker,
): Promise<Record<string, unknown> | undefined> {
  const count = argument === "" ? 1 : Number(argument);
  if (!/^\d*$/.test(argument) || count < 1 || !Number.isSafeInteger(count)) {
    throw new VmError(`"${argument}" is no number of instructions`);
  }
  let last: Record<string, unknown> | undefined;
  for (let i = 0; i < count; i++) {
    const step = await place.askAlone("debug.step", { cpu }, asker, LONG_SECONDS);
    if (step === null) return undefined; // the guest has ended
    last = step as Record<string, unknown>;
  }
  return last;
}

/** The owner pulls the plug when the guest's time is over; nobody has to wait here for that. */
async function powerOff(place: VmPlace, _: string, asker: Asker): Promise<void> {
  const stopped = callToEnd(place.control, "control.stop", { seconds: POWER_OFF_SECONDS });
  try {
    await place.bounded(stopped, asker, STOP_SECONDS);
  } catch (error) {
    if (!(error instanceof FileError) || error.errno !== Errno.ETIMEDOUT) throw error;
  }
}

async function kill(place: VmPlace, _: string, asker: Asker): Promise<void> {
  await place.bounded(callToEnd(place.control, "control.kill"), asker);
}

/** A process of its own writes it: its path may lead into this very tree. */
async function snapshot(place: VmPlace, path: string, asker: Asker): Promise<void> {
  let folder: string;
  try {
    folder = Deno.readLinkSync(`/proc/${asker.pid}/cwd`);
  } catch {
    folder = "/";
  }
  const words = ["snapshot", place.name, "-o", resolve(folder, path)];
  if (path.endsWith("/")) words[3] += "/";
  await runToEnd(words, asker);
}

/**
 * `status`: a line a key.
 *
 * @param place Its VM
 */
export function statusFile(place: VmPlace): FileNode {
  return textFile({
    read: (asker) => place.attempt("status", () => statusText(place, asker)),
  });
}

async function statusText(place: VmPlace, asker: Asker): Promise<string> {
  switch (place.state) {
    case "live": {
      // The owner writes it at each change, and is not kept from other work by who reads it.
      const written = readText(place.directory.status);
      if (written !== undefined) return written;
      const { live: _, ...status } = await place.ask("control.status", {}, asker) as Handle;
      return lines(status);
    }
    case "ended": {
      const { live: _, ...exit } = exitRecord(place.directory);
      return lines(exit);
    }
    case "draft":
      return lines({ state: place.tree.drafts.isStarting(place.name) ? "starting" : "draft" });
    default:
      throw place.gone();
  }
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return undefined;
  }
}

function lines(record: object): string {
  return Object.entries(record).map(([key, value]) => `${key} ${value}\n`).join("");
}
