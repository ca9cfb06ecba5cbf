/**
 * Records the exits of one vCPU in its own thread. Nothing here allocates or waits.
 *
 * @module
 */
import { monotonicNanoseconds } from "../../ffi/clock.ts";
import { Exit } from "../../ffi/kvm/exit.ts";
import { RunOffset } from "../../ffi/kvm/structs.ts";
import type { Bus } from "../bus.ts";
import { ACCESS_WRITE, EXIT_BYTES, ExitDouble, ExitWord } from "./exit_layout.ts";
import { RecordRing } from "./record_ring.ts";
import type { ExitFilter } from "./watch_plan.ts";

/** As many exit reasons as a filter tells apart; KVM has 41. */
const REASONS = 64;

/** One reader's ring and what it wants of the exits. */
class Sink {
  readonly #ring: RecordRing;
  readonly #words: Uint32Array;
  readonly #reasons = new Uint8Array(REASONS);
  readonly #everyPlace: boolean;
  readonly #firstPort: number;
  readonly #endPort: number;
  readonly #firstAddress: number;
  readonly #endAddress: number;
  /** -1 for any. */
  readonly #device: number;

  constructor(buffer: SharedArrayBuffer, filter: ExitFilter) {
    this.#ring = new RecordRing(buffer, EXIT_BYTES);
    this.#words = new Uint32Array(buffer);
    this.#reasons.fill(filter.reasons === undefined ? 1 : 0);
    for (const reason of filter.reasons ?? []) this.#reasons[reason] = 1;
    const { ports, addresses } = filter;
    this.#everyPlace = ports === undefined && addresses === undefined;
    this.#firstPort = ports?.base ?? 0;
    this.#endPort = ports?.end ?? 0;
    this.#firstAddress = addresses?.base ?? 0;
    this.#endAddress = addresses?.end ?? 0;
    this.#device = filter.device ?? -1;
  }

  /** Takes a record, if it is one that is wanted. */
  take(words: Uint32Array, reason: number, address: number): void {
    if (this.#reasons[reason & (REASONS - 1)] === 0) return;
    if (this.#device >= 0 && this.#device !== words[ExitWord.DEVICE]) return;
    if (!this.#everyPlace && !this.#inPlace(words, reason, address)) return;
    const at = this.#ring.reserve();
    if (at < 0) return;
    this.#words.set(words, at / 4);
    this.#ring.commit();
  }

  #inPlace(words: Uint32Array, reason: number, address: number): boolean {
    // A wide access belongs to every port and address that it touches.
    const end = address + (words[ExitWord.ACCESS]! & 0xff);
    if (reason === Exit.IO) return address < this.#endPort && end > this.#firstPort;
    if (reason === Exit.MMIO) return address < this.#endAddress && end > this.#firstAddress;
    return false;
  }
}

/** The recorder of one vCPU. */
export class ExitTracer {
  readonly #bus: Bus;
  readonly #bytes: Uint8Array;
  readonly #halves: Uint16Array;
  readonly #run: Uint32Array;
  readonly #sinks: readonly Sink[];
  readonly #record = new ArrayBuffer(EXIT_BYTES);
  readonly #doubles = new Float64Array(this.#record);
  readonly #words = new Uint32Array(this.#record);
  #reason = 0;
  #address = 0;
  #pending = false;

  /**
   * @param run `struct kvm_run` and the pages behind it
   * @param bus Who answers accesses, in this thread
   * @param sinks Rings of records of `EXIT_BYTES`, and which exits each is to have
   */
  constructor(
    run: ArrayBuffer,
    bus: Bus,
    sinks: readonly { readonly ring: SharedArrayBuffer; readonly filter: ExitFilter }[],
  ) {
    this.#bus = bus;
    this.#bytes = new Uint8Array(run);
    this.#halves = new Uint16Array(run);
    this.#run = new Uint32Array(run);
    this.#sinks = sinks.map(({ ring, filter }) => new Sink(ring, filter));
  }

  /** KVM_RUN came back with an exit, which is not answered yet. */
  exited(): void {
    this.#begin(this.#run[RunOffset.exit_reason / 4]!);
  }

  /** KVM_RUN came back because of a kick. */
  interrupted(): void {
    this.#begin(Exit.INTR);
    this.answered();
  }

  /** The exit is answered; what is read of a device is there. Without an exit it does nothing. */
  answered(): void {
    if (!this.#pending) return;
    this.#pending = false;
    const words = this.#words;
    this.#takeValue(words);
    this.#doubles[ExitDouble.TOOK] = monotonicNanoseconds() - this.#doubles[ExitDouble.TIME]!;
    const reason = this.#reason;
    const address = this.#address;
    for (let i = 0; i < this.#sinks.length; i++) this.#sinks[i]!.take(words, reason, address);
  }

  #begin(reason: number): void {
    const words = this.#words;
    const bytes = this.#bytes;
    const run = this.#run;
    this.#doubles[ExitDouble.TIME] = monotonicNanoseconds();
    this.#pending = true;
    this.#reason = reason;
    words[ExitWord.REASON] = reason;
    let access = 0;
    let count = 1;
    let device = 0;
    let low = 0;
    let high = 0;
    switch (reason) {
      case Exit.IO:
        low = this.#halves[RunOffset["io.port"] / 2]!;
        access = bytes[RunOffset["io.size"]]! |
          (bytes[RunOffset["io.direction"]] === 1 ? ACCESS_WRITE : 0);
        count = run[RunOffset["io.count"] / 4]!;
        device = this.#bus.portOwner(low);
        break;
      case Exit.MMIO:
        low = run[RunOffset["mmio.phys_addr"] / 4]!;
        high = run[RunOffset["mmio.phys_addr"] / 4 + 1]!;
        access = run[RunOffset["mmio.len"] / 4]! |
          (bytes[RunOffset["mmio.is_write"]] !== 0 ? ACCESS_WRITE : 0);
        device = this.#bus.memoryOwner(low + high * 2 ** 32);
        break;
      case Exit.X86_RDMSR:
      case Exit.X86_WRMSR:
        low = run[RunOffset["msr.index"] / 4]!;
        access = 8 | (reason === Exit.X86_WRMSR ? ACCESS_WRITE : 0);
        break;
    }
    words[ExitWord.ACCESS] = access;
    words[ExitWord.COUNT] = count;
    words[ExitWord.DEVICE] = device;
    words[ExitWord.ADDRESS] = low;
    words[ExitWord.ADDRESS + 1] = high;
    this.#address = low + high * 2 ** 32;
  }

  /** The value that the guest wrote, or that it gets. */
  #takeValue(words: Uint32Array): void {
    let low = 0;
    let high = 0;
    switch (this.#reason) {
      case Exit.IO:
        low = this.#load(this.#run[RunOffset["io.data_offset"] / 4]!, words[ExitWord.ACCESS]! & 7);
        break;
      case Exit.MMIO: {
        const length = words[ExitWord.ACCESS]! & 0xf;
        low = this.#load(RunOffset["mmio.data"], Math.min(length, 4));
        high = length > 4 ? this.#load(RunOffset["mmio.data"] + 4, length - 4) : 0;
        break;
      }
      case Exit.X86_WRMSR:
        low = this.#run[RunOffset["msr.data"] / 4]!;
        high = this.#run[RunOffset["msr.data"] / 4 + 1]!;
        break;
    }
    words[ExitWord.VALUE] = low;
    words[ExitWord.VALUE + 1] = high;
  }

  #load(at: number, length: number): number {
    const bytes = this.#bytes;
    let value = 0;
    for (let i = length - 1; i >= 0; i--) value = value << 8 | bytes[at + i]!;
    return value >>> 0;
  }
}
