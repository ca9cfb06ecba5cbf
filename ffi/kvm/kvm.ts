/**
 * /dev/kvm, a VM and a vCPU as objects that own their descriptors. Nothing here knows devices or
 * documents; `vmm/` builds machines from it.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { HostError } from "../errors.ts";
import { closeFile, openFile, OpenFlag } from "../files.ts";
import { check, errno, libc } from "../libc.ts";
import { Mapping } from "../mapping.ts";
import { Ioctl } from "./ioctl.ts";
import {
  kvm_cpuid_entry2,
  kvm_irq_level,
  kvm_msr_entry,
  kvm_pit_config,
  kvm_regs,
  kvm_sregs,
  kvm_userspace_memory_region,
  type KvmRegs,
  type KvmSregs,
} from "./structs.ts";

const API_VERSION = 12;
/** Far more than any host has; KVM says E2BIG otherwise. */
const MAX_CPUID_ENTRIES = 256;
const KVM_MEM_READONLY = 2;
const KVM_PIT_SPEAKER_DUMMY = 1;
const PATH = "/dev/kvm";

type Request = keyof typeof Ioctl;

/** An ioctl whose argument is a number. */
function call(fd: number, request: Request, argument: number | bigint = 0): number {
  return check(libc.ioctl(fd, Ioctl[request], BigInt(argument)), `KVM_${request}`);
}

/** An ioctl whose argument is a struct. */
function callWith(fd: number, request: Request, argument: Uint8Array<ArrayBuffer>): number {
  return check(libc.ioctl_pointer(fd, Ioctl[request], argument), `KVM_${request}`);
}

/** One leaf of CPUID. */
export interface CpuidEntry {
  function: number;
  index: number;
  flags: number;
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

function packCpuid(entries: readonly CpuidEntry[], capacity = entries.length) {
  const buffer = new DataView(new ArrayBuffer(8 + kvm_cpuid_entry2.size * capacity));
  buffer.setUint32(0, capacity, true);
  entries.forEach((entry, i) => {
    Object.assign(new kvm_cpuid_entry2(buffer, 8 + i * kvm_cpuid_entry2.size), entry);
  });
  return buffer;
}

function unpackCpuid(buffer: DataView): CpuidEntry[] {
  return Array.from({ length: buffer.getUint32(0, true) }, (_, i) => {
    const { function: leaf, index, flags, eax, ebx, ecx, edx } = new kvm_cpuid_entry2(
      buffer,
      8 + i * kvm_cpuid_entry2.size,
    );
    return { function: leaf, index, flags, eax, ebx, ecx, edx };
  });
}

/** The host's CPUs don't change under us, and asking takes a fifth of a small VM's life. */
let supported: readonly CpuidEntry[] | undefined;

/** /dev/kvm. */
export class Kvm implements Disposable {
  /** Its descriptor. */
  readonly fd: number;

  /** @throws {HostError} If /dev/kvm cannot be opened or speaks another API; the hint says what to do */
  constructor() {
    try {
      this.fd = openFile(PATH, OpenFlag.RDWR);
    } catch (error) {
      throw error instanceof HostError ? explainOpen(error) : error;
    }
    const version = call(this.fd, "GET_API_VERSION");
    if (version !== API_VERSION) {
      closeFile(this.fd);
      throw new HostError("KVM_GET_API_VERSION", Errno.ENODEV, {
        path: PATH,
        hint: `it speaks API version ${version}, hvsh needs ${API_VERSION}`,
      });
    }
  }

  /**
   * Asks for a capability.
   *
   * @param capability Its number, from `Capability`
   * @returns 0 if it is missing; otherwise 1 or a limit
   */
  capability(capability: number): number {
    return call(this.fd, "CHECK_EXTENSION", capability);
  }

  /** Bytes of a vCPU's mapping: `kvm_run`, PIO data and the coalesced ring. */
  get vcpuMmapSize(): number {
    return call(this.fd, "GET_VCPU_MMAP_SIZE");
  }

  /** What CPUID this host can give a guest (api.rst §4.46). */
  supportedCpuid(): readonly CpuidEntry[] {
    if (supported === undefined) {
      const buffer = packCpuid([], MAX_CPUID_ENTRIES);
      callWith(this.fd, "GET_SUPPORTED_CPUID", new Uint8Array(buffer.buffer));
      supported = unpackCpuid(buffer);
    }
    return supported;
  }

  /** The MSRs that a guest's state consists of, by KVM's own list (api.rst §4.3). */
  msrIndices(): number[] {
    const words = new Uint32Array(1);
    // With no room it fails with E2BIG and says how many there are.
    libc.ioctl_pointer(this.fd, Ioctl.GET_MSR_INDEX_LIST, words);
    const list = new Uint32Array(1 + words[0]!);
    list[0] = words[0]!;
    check(
      libc.ioctl_pointer(this.fd, Ioctl.GET_MSR_INDEX_LIST, list),
      "KVM_GET_MSR_INDEX_LIST",
    );
    return Array.from(list.subarray(1));
  }

  /** Makes a VM. Its descriptors serve this process only. */
  createVm(): Vm {
    for (;;) {
      const fd = libc.ioctl(this.fd, Ioctl.CREATE_VM, 0n);
      if (fd >= 0) return new Vm(fd, this.vcpuMmapSize);
      const code = errno();
      // It takes mmu notifiers, and gives up on that when any signal comes.
      if (code !== Errno.EINTR) throw new HostError("KVM_CREATE_VM", code, { path: PATH });
    }
  }

  [Symbol.dispose](): void {
    closeFile(this.fd);
  }
}

function explainOpen(error: HostError): HostError {
  const uid = Deno.uid();
  const hints: Record<number, string> = {
    [Errno.EACCES]: `you are uid ${uid}, it wants group kvm; try: sudo usermod -aG kvm $USER`,
    [Errno.ENOENT]:
      "try: sudo modprobe kvm_intel || sudo modprobe kvm_amd; `hvsh doctor` says more",
    [Errno.ENODEV]: "the kernel has no KVM for this CPU; `hvsh doctor` says more",
  };
  const hint = hints[error.errno];
  return new HostError(error.syscall, error.errno, {
    path: PATH,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** A VM: an address space with memory slots, vCPUs and perhaps interrupt controllers. */
export class Vm implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  readonly #vcpuMmapSize: number;
  readonly #irqLevel = new kvm_irq_level();

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
   */
  setMemory(
    slot: number,
    guestAddress: number,
    size: number,
    hostAddress: bigint,
    readonly = false,
  ): void {
    const region = new kvm_userspace_memory_region();
    region.slot = slot;
    region.flags = readonly ? KVM_MEM_READONLY : 0;
    region.guest_phys_addr = guestAddress;
    region.memory_size = size;
    region.userspace_addr = hostAddress;
    callWith(this.fd, "SET_USER_MEMORY_REGION", region.bytes());
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

/** A vCPU: its registers here, its KVM_RUN loop in a thread of its own. */
export class Vcpu implements Disposable {
  /** Its descriptor. */
  readonly fd: number;
  /** Its number and APIC id. */
  readonly id: number;
  /** `struct kvm_run` and what follows it. */
  readonly run: Mapping;

  /**
   * @param fd What KVM_CREATE_VCPU gave
   * @param id Its number
   * @param mmapSize Bytes of its mapping
   */
  constructor(fd: number, id: number, mmapSize: number) {
    this.fd = fd;
    this.id = id;
    this.run = new Mapping(fd, mmapSize);
  }

  /** Reads the general registers. Blocks while another thread is in KVM_RUN. */
  getRegs(): KvmRegs {
    return readRegs(this.fd);
  }

  /** Writes the general registers. */
  setRegs(regs: KvmRegs): void {
    callWith(this.fd, "SET_REGS", regs.bytes());
  }

  /** Reads segments, control registers and tables. */
  getSregs(): KvmSregs {
    return readSregs(this.fd);
  }

  /** Writes segments, control registers and tables. */
  setSregs(sregs: KvmSregs): void {
    callWith(this.fd, "SET_SREGS", sregs.bytes());
  }

  /** Says what CPUID gives the guest; before its first run. */
  setCpuid(entries: readonly CpuidEntry[]): void {
    callWith(this.fd, "SET_CPUID2", new Uint8Array(packCpuid(entries).buffer));
  }

  /** Reads back what CPUID gives: KVM may have added features to what was set. */
  getCpuid(): CpuidEntry[] {
    const buffer = packCpuid([], MAX_CPUID_ENTRIES);
    callWith(this.fd, "GET_CPUID2", new Uint8Array(buffer.buffer));
    return unpackCpuid(buffer);
  }

  /**
   * Reads MSRs.
   *
   * @param indices Their numbers
   * @returns Values by number; those that KVM refused are left out
   */
  getMsrs(indices: readonly number[]): Map<number, bigint> {
    const values = new Map<number, bigint>();
    let rest = [...indices];
    while (rest.length > 0) {
      const buffer = packMsrs(rest.map((index) => [index, 0n]));
      const done = callWith(this.fd, "GET_MSRS", new Uint8Array(buffer.buffer));
      for (let i = 0; i < done; i++) {
        values.set(rest[i]!, new kvm_msr_entry(buffer, 8 + i * kvm_msr_entry.size).data);
      }
      rest = rest.slice(done + 1); // it stops at the first one that it refuses
    }
    return values;
  }

  /**
   * Writes MSRs, in order.
   *
   * @param values Pairs of number and value
   * @returns Numbers of those that KVM refused
   */
  setMsrs(values: Iterable<readonly [index: number, data: bigint]>): number[] {
    const refused: number[] = [];
    let rest = [...values];
    while (rest.length > 0) {
      const done = callWith(this.fd, "SET_MSRS", new Uint8Array(packMsrs(rest).buffer));
      if (done < rest.length) refused.push(rest[done]![0]);
      rest = rest.slice(done + 1);
    }
    return refused;
  }

  /** The local APIC's registers, one page (api.rst §4.57). */
  getLapic(): Uint8Array<ArrayBuffer> {
    const page = new Uint8Array(1024);
    callWith(this.fd, "GET_LAPIC", page);
    return page;
  }

  /** Writes the local APIC's registers. */
  setLapic(page: Uint8Array<ArrayBuffer>): void {
    callWith(this.fd, "SET_LAPIC", page);
  }

  /** Queues a non-maskable interrupt. */
  nmi(): void {
    call(this.fd, "NMI");
  }

  [Symbol.dispose](): void {
    this.run[Symbol.dispose]();
    closeFile(this.fd);
  }
}

/** Reads a vCPU's general registers by its descriptor, as its own thread knows it. */
export function readRegs(fd: number): KvmRegs {
  const regs = new kvm_regs();
  callWith(fd, "GET_REGS", regs.bytes());
  return regs;
}

/** Reads a vCPU's segments, control registers and tables by its descriptor. */
export function readSregs(fd: number): KvmSregs {
  const sregs = new kvm_sregs();
  callWith(fd, "GET_SREGS", sregs.bytes());
  return sregs;
}

function packMsrs(values: readonly (readonly [number, bigint])[]) {
  const buffer = new DataView(new ArrayBuffer(8 + kvm_msr_entry.size * values.length));
  buffer.setUint32(0, values.length, true);
  values.forEach(([index, data], i) => {
    const entry = new kvm_msr_entry(buffer, 8 + i * kvm_msr_entry.size);
    entry.index = index;
    entry.data = data;
  });
  return buffer;
}
