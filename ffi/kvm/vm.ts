/**
 * A VM as an object that owns its descriptor.
 *
 * @module
 */
import { addressOf } from "../address_of.ts";
import { closeFile } from "../files.ts";
import { call, callWith } from "./call.ts";
import { libc } from "../libc.ts";
import { Ioctl } from "./ioctl.ts";
import {
  kvm_dirty_log,
  kvm_ioeventfd,
  kvm_irq_level,
  kvm_msi,
  kvm_pit_config,
  kvm_userspace_memory_region,
} from "./structs.ts";
import { Vcpu } from "./vcpu.ts";

const KVM_MEM_LOG_DIRTY_PAGES = 1;
const KVM_MEM_READONLY = 2;
const PAGE_BITS = 12n;
const KVM_PIT_SPEAKER_DUMMY = 1;
const KVM_IOEVENTFD_FLAG_DATAMATCH = 1;
const KVM_IOEVENTFD_FLAG_PIO = 2;
const KVM_IOEVENTFD_FLAG_DEASSIGN = 4;

/** A write of the guest that signals an eventfd in place of an exit. */
export interface IoEventFd {
  /** The eventfd. */
  readonly fd: number;
  /** Port or guest-physical address. */
  readonly address: number;
  /** Bytes of the write: 1, 2, 4 or 8. */
  readonly length: number;
  /** A port, not an address. */
  readonly port: boolean;
  /** Only for writes of this value; any if left out. */
  readonly match?: number;
}

/** A VM: an address space with memory slots, vCPUs and perhaps interrupt controllers. */
export class Vm implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  readonly #vcpuMmapSize: number;
  readonly #irqLevel = new kvm_irq_level();
  readonly #msi = new kvm_msi();
  readonly #msiBytes = this.#msi.bytes();

  /**
   * @param fd What KVM_CREATE_VM gave
   * @param vcpuMmapSize Bytes of a vCPU's mapping
   */
  constructor(fd: number, vcpuMmapSize: number) {
    this.fd = fd;
    this.#vcpuMmapSize = vcpuMmapSize;
  }

  /**
   * Puts memory of this process into a slot of the guest's address space (api.rst §4.35).
   *
   * @param slot The slot's number
   * @param guestAddress Guest-physical address, a multiple of the page size
   * @param size Bytes, a multiple of the page size; 0 removes the slot
   * @param hostAddress Where the memory lies in this process
   * @param readonly Guest writes become MMIO exits
   * @param logged KVM keeps a log of the pages that the guest writes; of a slot that is there already
   *   this may change while vCPUs run
   */
  setMemory(
    slot: number,
    guestAddress: number,
    size: number,
    hostAddress: bigint,
    readonly = false,
    logged = false,
  ): void {
    const region = new kvm_userspace_memory_region();
    region.slot = slot;
    region.flags = (readonly ? KVM_MEM_READONLY : 0) | (logged ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    region.guest_phys_addr = guestAddress;
    region.memory_size = size;
    region.userspace_addr = hostAddress;
    callWith(this.fd, "SET_USER_MEMORY_REGION", region.bytes());
  }

  /**
   * Takes the log of a slot whose pages are logged (api.rst §4.8): what is written after this is noted
   * anew.
   *
   * @param slot The slot's number
   * @param size Its bytes
   * @returns A bit a page, the first page's the lowest of the first byte, in whole words of 64 bits
   */
  takeDirtyLog(slot: number, size: number): Uint8Array<ArrayBuffer> {
    const pages = BigInt(size) >> PAGE_BITS;
    const bitmap = new Uint8Array(Number((pages + 63n) / 64n) * 8);
    const request = new kvm_dirty_log();
    request.slot = slot;
    request.dirty_bitmap = BigInt(addressOf(bitmap));
    callWith(this.fd, "GET_DIRTY_LOG", request.bytes());
    return bitmap;
  }

  /**
   * Tells KVM where it may put the pages that real mode needs on VT-x without unrestricted guest.
   *
   * @param identityMap One page that no memory slot uses
   * @param tss Three pages that no memory slot uses
   */
  setRealModePages(identityMap: number, tss: number): void {
    const address = new BigUint64Array([BigInt(identityMap)]);
    callWith(this.fd, "SET_IDENTITY_MAP_ADDR", new Uint8Array(address.buffer));
    call(this.fd, "SET_TSS_ADDR", tss);
  }

  /** Makes the local APICs, I/O APIC and PICs; before the first vCPU (api.rst §4.24). */
  createIrqchip(): void {
    call(this.fd, "CREATE_IRQCHIP");
  }

  /** Makes the PIT with port 0x61 (api.rst §4.71). */
  createPit(): void {
    const config = new kvm_pit_config();
    config.flags = KVM_PIT_SPEAKER_DUMMY;
    callWith(this.fd, "CREATE_PIT2", config.bytes());
  }

  /**
   * Drives an interrupt line of the in-kernel controllers.
   *
   * @param gsi The line
   * @param level Active or not
   */
  setIrqLine(gsi: number, level: boolean): void {
    this.#irqLevel.irq = gsi;
    this.#irqLevel.level = level ? 1 : 0;
    callWith(this.fd, "IRQ_LINE", this.#irqLevel.bytes());
  }

  /**
   * Sends a message-signalled interrupt (api.rst, KVM_SIGNAL_MSI).
   *
   * @param addressLow The message's address, low half
   * @param addressHigh High half
   * @param data The message
   * @returns Whether some local APIC took it; a guest may send it to nobody
   */
  signalMsi(addressLow: number, addressHigh: number, data: number): boolean {
    this.#msi.address_lo = addressLow;
    this.#msi.address_hi = addressHigh;
    this.#msi.data = data;
    return libc.ioctl_pointer(this.fd, Ioctl.SIGNAL_MSI, this.#msiBytes) > 0;
  }

  /**
   * Has writes of the guest signal an eventfd (api.rst, KVM_IOEVENTFD).
   *
   * @param event Which writes
   * @param attached Or no more
   * @returns Whether KVM did so; it can't where another event has the same write, or none is left
   */
  setIoEventFd(event: IoEventFd, attached: boolean): boolean {
    const request = new kvm_ioeventfd();
    request.fd = event.fd;
    request.addr = event.address;
    request.len = event.length;
    request.datamatch = BigInt(event.match ?? 0);
    request.flags = (event.match === undefined ? 0 : KVM_IOEVENTFD_FLAG_DATAMATCH) |
      (event.port ? KVM_IOEVENTFD_FLAG_PIO : 0) |
      (attached ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN);
    return libc.ioctl_pointer(this.fd, Ioctl.IOEVENTFD, request.bytes()) === 0;
  }

  /**
   * Makes a vCPU.
   *
   * @param id Its number and APIC id
   */
  createVcpu(id: number): Vcpu {
    return new Vcpu(call(this.fd, "CREATE_VCPU", id), id, this.#vcpuMmapSize);
  }

  [Symbol.dispose](): void {
    closeFile(this.fd);
  }
}
