/**
 * /dev/kvm. Nothing here knows devices or documents; `vmm/` builds machines from it.
 *
 * @module
 */
import { Errno } from "../errno.ts";
import { HostError } from "../errors.ts";
import { closeFile, openFile, OpenFlag } from "../files.ts";
import { check, errno, libc } from "../libc.ts";
import { call, callWith } from "./call.ts";
import { type CpuidEntry, MAX_CPUID_ENTRIES, packCpuid, unpackCpuid } from "./cpuid.ts";
import { Ioctl } from "./ioctl.ts";
import { Vm } from "./vm.ts";

const API_VERSION = 12;
const PATH = "/dev/kvm";

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
