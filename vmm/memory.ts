/**
 * Guest memory made from a document's `memory`: memfds and files mapped into this process and put
 * into KVM's slots.
 *
 * @module
 */
import { Errno } from "../ffi/errno.ts";
import { DocumentError, HostError } from "../ffi/errors.ts";
import { closeFile, duplicate, openFile, OpenFlag, readTextFile, writeAt } from "../ffi/files.ts";
import type { Vm } from "../ffi/kvm/vm.ts";
import {
  createMemfd,
  giveUpMemfd,
  type MapOptions,
  Mapping,
  remapMemory,
  sealMemfd,
} from "../ffi/mapping.ts";
import { releasePages } from "../ffi/memory_advice.ts";
import { Address } from "./board.ts";
import type { MemoryEntry } from "./document.ts";
import type { GuestMemory } from "./guest_memory.ts";
import { closeSlots, type MemorySlot, openSlots, type SlotFile } from "./memory_slot.ts";
import { formatSize } from "./size.ts";
import type { ArrivingMemory } from "./state/lazy/arriving_memory.ts";
import type { RegionFile, SavedRegion } from "./state/regions.ts";
import { isZero } from "./state/zeros.ts";

const PAGE = 4096;
const HUGE_PAGE = 2 ** 21;
/** What of memory is looked at, and copied, at once. */
const COPY = 2 ** 20;
/** As many slots as each KVM since Linux 3.15 has for users (KVM_USER_MEM_SLOTS). */
const MOST_REGIONS = 509;

/** Memory that nothing else is behind. */
interface Anonymous {
  readonly mapping: Mapping;
  readonly fd: number;
  readonly huge?: boolean;
}

/** A machine's memory: what is mapped, and where the guest sees it. */
export class MachineMemory implements Disposable {
  /** The slots in order of address. */
  readonly slots: MemorySlot[] = [];
  readonly #mappings: Mapping[] = [];
  readonly #fds: number[] = [];
  /** Those of them that others open by their number, which a slot had as its `file`. */
  readonly #told = new Set<number>();
  /** What the guest alone writes. */
  readonly #own: { readonly address: bigint; readonly size: number }[] = [];
  #guest: GuestMemory | undefined;
  /** What brings pages that are not there yet. */
  #arriving: ArrivingMemory | undefined;

  /**
   * @param entries The document's `memory`
   * @throws {DocumentError} If pieces overlap or aren't whole pages
   * @throws {HostError} If the host can't give the memory or open a file
   */
  constructor(entries: readonly MemoryEntry[]) {
    if (entries.length > MOST_REGIONS) {
      throw new DocumentError(
        `VM document, memory: it has ${entries.length} regions, more than ${MOST_REGIONS}`,
      );
    }
    try {
      for (const [i, entry] of entries.entries()) this.#add(entry, `memory[${i}]`);
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Makes the memory of a machine that goes on from a saved state.
   *
   * @param regions What it had
   * @param files Where bytes of regions are, by their names; these are mapped copy on write, others are
   *   zero
   * @param arriving Brings the bytes that are in no file while the machine runs; it is this object's then
   * @throws {DocumentError} If regions overlap or aren't whole pages
   * @throws {HostError} If the host can't give the memory or open a file
   */
  static restored(
    regions: readonly SavedRegion[],
    files: ReadonlyMap<string, RegionFile> = new Map(),
    arriving?: ArrivingMemory,
  ): MachineMemory {
    const memory = new MachineMemory([]);
    memory.#arriving = arriving;
    try {
      for (const region of regions) memory.#addSaved(region, files.get(region.name));
      arriving?.fill(
        regions.filter(({ shared }) => shared === undefined).map((region) => ({
          name: region.name,
          size: region.size,
          address: memory.slots.find(({ base }) => base === region.base)!.address,
        })),
      );
      return memory;
    } catch (error) {
      memory[Symbol.dispose]();
      throw error;
    }
  }

  /** Resolves when all of it is there; rejects when that will never be. */
  get filled(): Promise<void> {
    return this.#arriving?.filled ?? Promise.resolve();
  }

  /** Has nothing come any more, and threads go on that wait for it: their machine has been given up. */
  async giveUp(): Promise<void> {
    await this.#arriving?.[Symbol.asyncDispose]();
  }

  /** The memory as this thread sees it. */
  get guest(): GuestMemory {
    return this.#guest ??= openSlots(this.slots);
  }

  /**
   * Tells KVM of every slot.
   *
   * @param vm The VM
   * @throws {HostError} If it is too large, or beyond the physical addresses that the CPU has
   */
  register(vm: Vm): void {
    for (const [i, { base, size, address, readonly }] of this.slots.entries()) {
      try {
        vm.setMemory(i, base, size, address, readonly);
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        throw new HostError(error.syscall, error.errno, {
          cause: error,
          hint: `another address or size for the ${formatSize(size)} at 0x${base.toString(16)}`,
        });
      }
    }
  }

  /** Puts everything to what it was at first: RAM to zeros, a file's private pages to the file's. */
  clear(): void {
    const before = this.#files();
    for (const [i, slot] of this.slots.entries()) {
      if (slot.ram && slot.image !== undefined) this.#renew(i);
    }
    this.#letGo(before);
    for (const { address, size } of this.#own) {
      const result = releasePages(Number(address), size);
      if (result < 0) throw new HostError("madvise", -result);
    }
  }

  /**
   * Adds a region that the guest can only read; this thread can write it. One that is there already
   * stays, for a machine that starts anew.
   *
   * @param base Guest-physical address
   * @param size Bytes, a multiple of the page size
   * @param where What it is for, for an error
   */
  addRom(base: number, size: number, where: string): void {
    const same = (slot: MemorySlot) =>
      slot.base === base && slot.size === size && slot.readonly &&
      (slot.file !== undefined || slot.image !== undefined);
    if (this.slots.some(same)) return;
    const { mapping: { address }, fd } = this.#anonymous("rom", size);
    const file = { fd, offset: 0 };
    this.#place({ base, size, address, ram: false, readonly: true, file }, where);
  }

  /**
   * Has files with what is in the memory now, for others to map copy on write; from now on this memory
   * is such a mapping itself, so that the files stay as they are. Nothing may run meanwhile. A file is this
   * object's until memory has another one: who needs it for longer has a descriptor of their own.
   *
   * @param current Whether the memory is still what its images have, where it has some
   * @returns For each slot its file, in order; none for memory that the guest shares with others
   * @throws {HostError} If the host has no room for it
   */
  images(current: boolean): (SlotFile | undefined)[] {
    const before = this.#files();
    const images = this.slots.map((slot, i) => {
      if (slot.shared !== undefined) return undefined;
      if (current && slot.image !== undefined) return slot.image;
      const { address, size, file } = slot;
      const { file: _, ...others } = slot;
      if (file !== undefined) sealMemfd(file.fd); // who has it open is to look elsewhere
      const image = file === undefined || file.huge ? this.#copy(slot) : file;
      remapMemory(address, size, image.fd, { private: true, offset: image.offset });
      this.slots[i] = { ...others, image };
      return image;
    });
    this.#letGo(before);
    return images;
  }

  /** The files that slots have. */
  #files(): Set<number> {
    return new Set(
      this.slots.flatMap(({ file, image }) => [file, image]).flatMap((of) => of?.fd ?? []),
    );
  }

  /** Gives back files that slots had, and none has any more. */
  #letGo(before: ReadonlySet<number>): void {
    for (const fd of before.difference(this.#files())) {
      if (this.#told.has(fd)) {
        giveUpMemfd(fd);
        this.#told.delete(fd);
      } else {
        closeFile(fd);
        this.#fds.splice(this.#fds.indexOf(fd), 1);
      }
    }
  }

  /** A file with what is in a slot. */
  #copy({ base, size }: MemorySlot): SlotFile {
    const fd = this.#memfd("image", size);
    const bytes = this.guest.bytes(base, size);
    for (let at = 0; at < size; at += COPY) {
      const piece = bytes.subarray(at, Math.min(at + COPY, size));
      if (!isZero(piece)) writeAt(fd, piece, at);
    }
    return { fd, offset: 0 };
  }

  /** Gives a slot of RAM zeros of its own in place of an image. */
  #renew(index: number): void {
    const { image: _, ...slot } = this.slots[index]!;
    const { address, size } = slot;
    const fd = this.#memfd("ram", size);
    remapMemory(address, size, fd, { offset: 0 });
    this.#told.add(fd);
    this.slots[index] = { ...slot, file: { fd, offset: 0 } };
    // What was a file's from the start is the guest's own only now.
    const isIn = (own: { address: bigint; size: number }) =>
      address >= own.address && address - own.address + BigInt(size) <= own.size;
    if (!this.#own.some(isIn)) this.#own.push({ address, size });
  }

  #add(entry: MemoryEntry, where: string): void {
    if (entry.type === "ram") return this.#addRam(entry, where);
    if (entry.path === undefined || entry.base === undefined) {
      throw new DocumentError(`VM document, ${where}: ${entry.type} needs "path" and "base"`);
    }
    const shared = entry.type === "shared";
    // Opening a FIFO would wait for its other end, but for O_NONBLOCK.
    const access = shared ? OpenFlag.RDWR : OpenFlag.RDONLY;
    const fd = openFile(entry.path, access | OpenFlag.NONBLOCK);
    this.#fds.push(fd);
    const { isFile, size: length } = Deno.statSync(entry.path);
    if (!isFile) throw new DocumentError(`VM document, ${where}: ${entry.path} is no plain file`);
    const offset = entry.offset ?? 0;
    const size = Math.ceil((entry.size ?? length - offset) / PAGE) * PAGE;
    if (size <= 0 || offset % PAGE !== 0 || offset + size > Math.ceil(length / PAGE) * PAGE) {
      const wanted = entry.size === undefined ? "any" : `${entry.size}`;
      throw new DocumentError(
        `VM document, ${where}: ${entry.path} has ${length} bytes, not ${wanted} at ${offset}`,
        { hint: `"offset" is a multiple of ${PAGE} and the file must hold the whole region` },
      );
    }
    const { address } = this.#map(fd, size, { private: !shared, offset });
    const readonly = entry.type === "rom";
    if (!shared) this.#own.push({ address, size });
    const file = shared ? { file: { fd, offset }, shared: { path: entry.path, offset } } : {};
    this.#place({ base: entry.base, size, address, ram: false, readonly, ...file }, where);
  }

  #addRam(entry: MemoryEntry, where: string): void {
    const size = entry.size ?? 0;
    if (size === 0 || size % PAGE !== 0) {
      throw new DocumentError(
        `VM document, ${where}: size ${size} is not a multiple of ${PAGE} bytes above 0`,
      );
    }
    const { mapping, fd, huge = false } = this.#anonymous("ram", size);
    this.#own.push(mapping);
    const at = (base: number, from: number, length: number) =>
      this.#place({
        base,
        size: length,
        address: mapping.address + BigInt(from),
        ram: true,
        readonly: false,
        file: { fd, offset: from, huge },
      }, where);
    if (entry.base !== undefined) return at(entry.base, 0, size);
    // Below 4 GiB the machine keeps room for firmware, interrupt controllers and PCI.
    const low = Math.min(size, Address.LOW_RAM_END);
    at(0, 0, low);
    if (size > low) at(Address.FOUR_GIB, low, size - low);
  }

  #addSaved({ name, base, size, ram, readonly, shared }: SavedRegion, from?: RegionFile): void {
    const where = `memory ${name}`;
    if (shared !== undefined) {
      return this.#add({ type: "shared", base, size, ...shared }, where);
    }
    if (size === 0 || size % PAGE !== 0) {
      throw new DocumentError(`${where}: size ${size} is not a multiple of ${PAGE} bytes above 0`);
    }
    if (from === undefined) {
      const { mapping, fd, huge = false } = this.#anonymous(name, size);
      if (ram) this.#own.push(mapping);
      const file = { fd, offset: 0, huge };
      return this.#place({ base, size, address: mapping.address, ram, readonly, file }, where);
    }
    // A page behind a file's end would be a SIGBUS.
    if (from.size < size) {
      throw new DocumentError(`${where}: its file has ${from.size} bytes, not ${size}`);
    }
    const { address } = this.#map(from.fd, size, { private: true, offset: from.offset });
    const image = { fd: this.#keep(duplicate(from.fd)), offset: from.offset };
    this.#place({ base, size, address, ram, readonly, image }, where);
  }

  #anonymous(name: string, size: number): Anonymous {
    // Pages that arrive are small ones.
    const spare = this.#arriving === undefined && size % HUGE_PAGE === 0 &&
      freeHugePages() * HUGE_PAGE >= size;
    const huge = spare ? this.#ofHugePages(name, size) : undefined;
    if (huge !== undefined) return huge;
    try {
      const fd = this.#memfd(name, size);
      const mapping = this.#map(fd, size);
      if (size >= HUGE_PAGE) mapping.adviseHugePages();
      return { mapping, fd };
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      throw new HostError(error.syscall, error.errno, {
        cause: error,
        ...hintFor(error.errno, size),
      });
    }
  }

  /** Memory of reserved huge pages, unless somebody else has taken them meanwhile. */
  #ofHugePages(name: string, size: number): Anonymous | undefined {
    try {
      const fd = this.#memfd(name, size, { hugePages: true });
      return { mapping: this.#map(fd, size, { reserve: true }), fd, huge: true };
    } catch (error) {
      if (error instanceof HostError) return undefined;
      throw error;
    }
  }

  #memfd(name: string, size: number, options: { hugePages?: boolean } = {}): number {
    return this.#keep(createMemfd(`hvsh-${name}`, size, options));
  }

  #keep(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }

  #map(fd: number, size: number, options: MapOptions = {}): Mapping {
    const mapping = new Mapping(fd, size, options);
    this.#mappings.push(mapping);
    return mapping;
  }

  #place(slot: MemorySlot, where: string): void {
    const end = slot.base + slot.size;
    if (slot.base % PAGE !== 0) {
      throw new DocumentError(
        `VM document, ${where}: base 0x${slot.base.toString(16)} is not a multiple of ${PAGE}`,
      );
    }
    if (!Number.isSafeInteger(end)) {
      throw new DocumentError(
        `VM document, ${where}: 0x${slot.base.toString(16)} and ${slot.size} bytes are beyond 2^53`,
      );
    }
    const other = this.slots.find((s) => s.base < end && slot.base < s.base + s.size);
    if (other !== undefined) {
      throw new DocumentError(
        `VM document, ${where}: 0x${slot.base.toString(16)}-0x${(end - 1).toString(16)} overlaps ` +
          `the region at 0x${other.base.toString(16)}`,
      );
    }
    if (slot.file !== undefined) this.#told.add(slot.file.fd);
    this.slots.push(slot);
    this.slots.sort((a, b) => a.base - b.base);
    if (this.#guest !== undefined) closeSlots(this.#guest);
    this.#guest = undefined;
  }

  /** Unmaps everything; every other thread must have closed its views. */
  [Symbol.dispose](): void {
    this.#arriving?.letGo();
    if (this.#guest !== undefined) closeSlots(this.#guest);
    this.#guest = undefined;
    for (const mapping of this.#mappings.splice(0)) mapping[Symbol.dispose]();
    for (const fd of this.#fds.splice(0)) closeFile(fd);
  }
}

function hintFor(errno: number, size: number): { hint?: string } {
  switch (errno) {
    case Errno.ENOMEM:
    case Errno.ENOSPC:
      return {
        hint: `the guest wants ${formatSize(size)} of memory; try a smaller \`create -m\``,
      };
    case Errno.EMFILE:
      return { hint: "`ulimit -n`: each region of memory takes a descriptor" };
    case Errno.EFBIG:
      return { hint: "`ulimit -f`: the guest's memory counts as a file" };
    default:
      return {};
  }
}

/** Huge pages of 2 MiB that the host has reserved and nobody uses; 0 where it has none. */
function freeHugePages(): number {
  try {
    return Number(readTextFile("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"));
  } catch {
    return 0;
  }
}
