/**
 * Which pages of a machine's memory change while it runs: those that the guest writes, by KVM's log, and
 * those that devices write, by the machine's own.
 *
 * @module
 */
import { Vm } from "../ffi/kvm/vm.ts";
import type { MemorySlot } from "./memory_slot.ts";
import type { WriteLog } from "./write_log.ts";

const PAGE = 4096;

/** The log of one machine; KVM gives it to the process that made the VM only. */
export class DirtyLog {
  readonly #vm: Vm;
  readonly #slots: readonly MemorySlot[];
  readonly #writes: WriteLog;
  #on = false;
  #fixed = false;
  #generation = 0;

  /**
   * @param vmFd The VM
   * @param slots Its memory, each in the slot of its index
   * @param writes What its devices write
   */
  constructor(vmFd: number, slots: readonly MemorySlot[], writes: WriteLog) {
    this.#vm = new Vm(vmFd, 0);
    this.#slots = slots;
    this.#writes = writes;
  }

  /** Whether it is kept. */
  get on(): boolean {
    return this.#on;
  }

  /** Whether devices stay what they are as long as it is kept. */
  get fixed(): boolean {
    return this.#on && this.#fixed;
  }

  /** Changes whenever it is begun anew: what was noted before is lost then. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Keeps it from now on.
   *
   * @param options `fixed`: devices stay what they are meanwhile. Default true
   * @throws {HostError} If KVM does not
   */
  start(options: { fixed?: boolean } = {}): void {
    this.#fixed = options.fixed ?? true;
    this.#generation++;
    this.#writes.start();
    this.#on = true;
    this.#log(true);
  }

  /**
   * Takes it: a page that is written after this is noted anew.
   *
   * @returns For each memory slot a bit a page, the first page's the lowest of the first byte
   */
  take(): Uint8Array<ArrayBuffer>[] {
    return this.#writes.take().map((bitmap, i) => {
      const { readonly, size } = this.#slots[i]!;
      if (readonly) return bitmap;
      const words = new Uint32Array(bitmap.buffer);
      const guests = new Uint32Array(this.#vm.takeDirtyLog(i, size).buffer);
      for (let word = 0; word < words.length; word++) words[word]! |= guests[word]!;
      return bitmap;
    });
  }

  /**
   * Notes again what {@linkcode take} gave.
   *
   * @param bitmaps What it gave
   */
  putBack(bitmaps: readonly Uint8Array[]): void {
    for (const [slot, bitmap] of bitmaps.entries()) {
      for (let page = 0; page < 8 * bitmap.length; page++) {
        const noted = (bitmap[page >> 3]! & 1 << (page & 7)) !== 0;
        if (noted) this.#writes.mark(slot, page * PAGE, PAGE);
      }
    }
  }

  /** Notes that all memory was written. */
  markAll(): void {
    if (!this.#on) return;
    for (const [i, { size }] of this.#slots.entries()) this.#writes.mark(i, 0, size);
  }

  /** Keeps it no more. */
  stop(): void {
    if (!this.#on) return;
    this.#on = false;
    this.#writes.stop();
    this.#log(false);
  }

  #log(logged: boolean): void {
    for (const [i, { base, size, address, readonly }] of this.#slots.entries()) {
      if (!readonly) this.#vm.setMemory(i, base, size, address, false, logged);
    }
  }
}
