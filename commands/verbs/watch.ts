/**
 * `hvsh watch`: another verb, again and again.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { delay } from "../live/delay.ts";
import { findVms } from "../live/run_directory.ts";
import { plainText } from "../text_cut.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";
import { markChanges } from "../watch/changes.ts";
import { FullScreen } from "../watch/full_screen.ts";
import { VmChanges } from "../watch/vm_changes.ts";
import { WatchedVerb } from "../watch/watched_verb.ts";

const DEFAULT_INTERVAL = 1;
/** A VM that changes all the time is not drawn all the time. */
const LEAST_MILLISECONDS = 100;
/** Lines above what the verb prints. */
const HEAD_LINES = 2;

/** The row of `watch`. */
export const verb: Verb = {
  name: "watch",
  summary: "Run another verb again and again, and show what changes",
  description:
    "On a terminal it draws what the verb prints in place, anew each second and as soon as a VM comes, " +
    "goes or changes its state, and marks what is different; q or ^C leaves it. Elsewhere it prints the " +
    "verb's records each second. Its own flags stand before the verb.",
  group: "live",
  flags: {
    interval: { short: "n", value: "seconds", metavar: "SECONDS", help: "how often (1)" },
    count: { value: "number", metavar: "COUNT", help: "end after so many times" },
    "until-end": { short: "e", help: "end once the VMs that it is about have ended" },
  },
  arguments: [
    { name: "VERB", value: "text", help: "the verb" },
    { name: "WORD", value: "text", optional: true, repeat: true, raw: true, help: "its words" },
  ],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh watch list", needs: "kvm" },
    { line: "hvsh watch -n 0.2 regs web", needs: "kvm" },
    { line: "hvsh watch --until-end stat web | jq -c 'select(.vcpu==0) | .exits'", needs: "kvm" },
  ],
  async run(words, context) {
    const { verb, word = [] } = words;
    const watched = await WatchedVerb.find(verb as string, word as readonly string[], context);
    const rounds = new Rounds(words, watched);
    const drawn = await onScreen(watched, rounds, context);
    if (drawn !== undefined) {
      await context.print(drawn.text);
      return drawn.status;
    }
    do {
      try {
        await watched.pass();
      } catch (error) {
        if (rounds.over && error instanceof HvshError) break; // they have ended just now
        throw error;
      }
    } while (rounds.more() && await delay(rounds.milliseconds, context.signal));
    return 0;
  },
};

/** How often, and how long. */
class Rounds {
  readonly milliseconds: number;
  readonly #untilEnd: boolean;
  readonly #watched: WatchedVerb;
  /** VMs that lived at the start. */
  readonly #lived = new Set(findVms().map(({ name }) => name));
  #left: number;

  constructor(
    { interval = DEFAULT_INTERVAL, count = Infinity, ...words }: Words,
    watched: WatchedVerb,
  ) {
    this.milliseconds = (interval as number) * 1000;
    this.#left = count as number;
    this.#untilEnd = words["until-end"] === true;
    this.#watched = watched;
  }

  /** Whether another one follows. */
  more(): boolean {
    return --this.#left > 0 && !this.over;
  }

  /** Whether the VMs have ended whose end was to be the end. */
  get over(): boolean {
    return this.#untilEnd && !this.#alive();
  }

  /** Whether a VM lives that is named, or any of those from the start if none is. */
  #alive(): boolean {
    const named = this.#watched.names.filter((name) => this.#lived.has(name));
    const names = named.length > 0 ? named : [...this.#lived];
    return findVms().some(({ name }) => names.includes(name));
  }
}

/** What is left when the screen is: nothing, unless it was shown to its end. */
interface Drawn {
  readonly status: number;
  readonly text: string;
}

/** Undefined if there is no screen. */
async function onScreen(
  watched: WatchedVerb,
  rounds: Rounds,
  context: VerbContext,
): Promise<Drawn | undefined> {
  await using screen = await FullScreen.open(context);
  if (screen === undefined) return undefined;
  using _ = new VmChanges(() => screen.wake());
  const left = Promise.withResolvers<undefined>();
  screen.left.addEventListener("abort", () => left.resolve(undefined));
  let before: string | undefined;
  for (;;) {
    // A verb may take its time, or be one that waits.
    const text = await Promise.race([shown(watched, before === undefined, screen), left.promise]);
    if (text === undefined) break;
    await screen.draw(`${headLine(watched, rounds)}\n\n${markChanges(before, text)}`);
    if (!rounds.more()) return { status: 0, text };
    before = text;
    if (!await screen.pause(rounds.milliseconds)) break;
    if (!await delay(Math.min(LEAST_MILLISECONDS, rounds.milliseconds), screen.left)) break;
  }
  return { status: screen.status, text: "" };
}

function headLine({ line }: WatchedVerb, { milliseconds }: Rounds): string {
  const clock = new Date().toTimeString().slice(0, 8);
  return plainText(`hvsh ${line} - ${clock}, every ${milliseconds / 1000} s, q leaves`);
}

/** What fails at first fails; later the VM has gone perhaps, and others may come. */
async function shown(
  watched: WatchedVerb,
  first: boolean,
  { look: { columns, rows }, left }: FullScreen,
): Promise<string> {
  let text: string;
  try {
    text = await watched.text({ columns, rows: rows - HEAD_LINES, color: false }, left);
  } catch (error) {
    if (first || !(error instanceof HvshError)) throw error;
    text = `${error.message}\n`;
  }
  return text.split("\n").map(plainText).join("\n");
}
