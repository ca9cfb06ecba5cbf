/// <reference lib="deno.worker" />
/**
 * The Worker that brings a machine's memory while that runs. It alone must never touch that memory: it is
 * what everybody else waits for.
 *
 * @module
 */
import { Epoll, EpollEvent } from "../../../ffi/epoll.ts";
import { DocumentError, HostError, HvshError } from "../../../ffi/errors.ts";
import { closeFile } from "../../../ffi/files.ts";
import { libc } from "../../../ffi/libc.ts";
import { Userfaultfd } from "../../../ffi/userfaultfd.ts";
import { DescriptorSource } from "../descriptor_stream.ts";
import type { Fill } from "./fill.ts";
import { FileFill } from "./file_fill.ts";
import { type FillOrder, type FillReport, Phase, Word } from "./fill_protocol.ts";
import { PageGiver } from "./page_giver.ts";
import { StreamFill } from "./stream_fill.ts";

const SEEK_CUR = 1;
/** How long the machine's thread may take to hear of a failure. */
const HEARD_MILLISECONDS = 5000;

/** Somebody does not want it any more. */
class Stopped extends Error {}

const orders: FillOrder[] = [];
let orderCame: (() => void) | undefined;
self.onmessage = ({ data }: MessageEvent<FillOrder>) => {
  orders.push(data);
  orderCame?.();
};

async function nextOrder(): Promise<FillOrder> {
  while (orders.length === 0) await new Promise<void>((resolve) => orderCame = resolve);
  return orders.shift()!;
}

async function work(): Promise<void> {
  const order = await nextOrder();
  if (order.kind !== "read") return;
  const { fd, stop, words } = order;
  let giver: PageGiver | undefined;
  const fill = fillOf(order);
  try {
    using waiting = new Waiting(fill, stop);
    while (!waiting.step());
    report({ kind: "state", records: fill.state });
    const next = await nextOrder();
    if (next.kind !== "fill") return;
    const faults = new Userfaultfd(next.faults);
    giver = new PageGiver(faults, next.regions);
    waiting.serve(faults.fd, giver);
    fill.begin(giver);
    while (!waiting.step());
    giver.end();
    report({ kind: "filled", workingSet: fill.workingSet });
  } catch (error) {
    if (error instanceof Stopped || Atomics.load(words, Word.STOPPED) === 1) return;
    fail(error, fill.at, words, giver);
  } finally {
    closeFile(fd);
  }
}

function fillOf({ fd, path, edited, workingSet = [] }: FillOrder & { kind: "read" }): Fill {
  const position = Number(libc.lseek(fd, 0n, SEEK_CUR));
  if (position >= 0 && isFile(fd)) {
    return new FileFill(fd, { path, position, edited, workingSet });
  }
  return new StreamFill(new DescriptorSource(fd, path), { edited, waitsFor: fd });
}

function isFile(fd: number): boolean {
  return Deno.statSync(`/proc/self/fd/${fd}`).isFile;
}

/** Where the thread waits: for the stream, for who wants a page, for the word to stop. */
class Waiting implements Disposable {
  readonly #fill: Fill;
  readonly #epoll = new Epoll();
  readonly #stop: number;
  #faults = -1;
  #giver: PageGiver | undefined;
  #ready: boolean;
  #done = false;

  constructor(fill: Fill, stop: number) {
    this.#fill = fill;
    this.#stop = stop;
    this.#epoll.add(stop, EpollEvent.IN);
    this.#ready = fill.waitsFor === undefined;
    if (fill.waitsFor === undefined) return;
    try {
      this.#epoll.add(fill.waitsFor, EpollEvent.IN);
    } catch (error) { // what can't be waited for always has something: /dev/null
      if (!(error instanceof HostError)) throw error;
      this.#ready = true;
    }
  }

  /** Serves who waits for a page, too. */
  serve(faults: number, giver: PageGiver): void {
    this.#faults = faults;
    this.#giver = giver;
    this.#epoll.add(faults, EpollEvent.IN);
  }

  /** Waits, and does what is to be done; says whether the fill has got where it wanted. */
  step(): boolean {
    this.#done = false;
    const { patience } = this.#fill;
    const count = this.#epoll.wait(this.#ready ? patience : -1, (fd) => {
      if (fd === this.#stop) throw new Stopped();
      else if (fd === this.#faults) this.#giver!.asked((place) => this.#fill.asked(place));
      else this.#done = this.#fill.step();
    });
    if (!this.#ready) return this.#done;
    if (patience > 0 && count > 0) return false;
    if (patience > 0) this.#fill.quiet();
    return this.#fill.step();
  }

  [Symbol.dispose](): void {
    this.#epoll[Symbol.dispose]();
  }
}

/**
 * Memory does not come. Nothing of the machine has run yet: its maker may go on, and will hear of it. Or it
 * runs: who waits for a page waits on, since a device could write what is not the guest's to a disk.
 */
function fail(error: unknown, at: string, words: Int32Array, giver: PageGiver | undefined): void {
  const { message } = error as Error;
  const what = error instanceof HostError && at !== "" ? `${at}: ${message}` : message;
  const hint = error instanceof HvshError ? error.hint : undefined;
  const was = Atomics.compareExchange(words, Word.PHASE, Phase.MADE, Phase.FAILED);
  if (was === Phase.MADE) giver?.end();
  report({
    kind: "failed",
    document: error instanceof DocumentError,
    message: error instanceof HvshError ? what : String((error as Error).stack),
    ...(hint === undefined ? {} : { hint }),
  });
  // Its thread may itself wait for a page that never comes.
  if (was === Phase.MADE) return;
  const heard = Atomics.wait(words, Word.HEARD, 0, HEARD_MILLISECONDS);
  if (heard === "timed-out") Deno.kill(Deno.pid, "SIGKILL");
}

function report(message: FillReport): void {
  self.postMessage(message);
}

work().then(() => {
  report({ kind: "ended" });
  self.close();
});
