/**
 * Whether this host has room for the memory that a stream wants, as far as that can be told before somebody
 * touches it: KVM and the kernel would take much more, and fall over it later.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import { readTextFile } from "../../ffi/files.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { formatSize } from "../size.ts";
import { FIRST } from "./first_record.ts";
import type { SavedRegion } from "./regions.ts";

/** CPUID's leaf of address sizes: EAX has the physical one in its low byte (AMD APM vol. 3 §E.4.7). */
const ADDRESS_SIZES = 0x8000_0008;
/** What a CPU has that does not say (Intel SDM vol. 3A §4.1.4). */
const LEAST_BITS = 36;
/** proc(5), vm.overcommit_memory: the host promises whatever is asked for. */
const ALWAYS = 1;

/**
 * Looks that a machine's memory can be on this host. What is more than there is at all is refused, as the
 * kernel refuses obvious overcommits, unless the host is told to promise everything.
 *
 * @param regions The machine's memory
 * @throws {VmError} Naming the region
 */
export function requireHostRoom(regions: readonly SavedRegion[]): void {
  const bits = addressBits();
  const most = overcommits() ? Infinity : memoryAndSwap();
  let all = 0;
  for (const { name, base, size, shared } of regions) {
    if (base + size > 2 ** bits) {
      throw new VmError(
        `${FIRST}, state.memory: ${name} ends at 0x${
          (base + size).toString(16)
        }, beyond the ${bits} ` +
          "bits of this host's physical addresses",
      );
    }
    if (shared !== undefined) continue;
    all += size;
    if (all <= most) continue;
    throw new VmError(
      `${FIRST}, state.memory: with ${name} it is ${formatSize(all)}, more than this host has`,
      { hint: "sudo sysctl vm.overcommit_memory=1 has the host promise it all the same" },
    );
  }
}

function addressBits(): number {
  using kvm = new Kvm();
  const sizes = kvm.supportedCpuid().find((leaf) => leaf.function === ADDRESS_SIZES);
  return sizes === undefined ? LEAST_BITS : sizes.eax & 0xff;
}

function overcommits(): boolean {
  return Number(readTextFile("/proc/sys/vm/overcommit_memory")) === ALWAYS;
}

function memoryAndSwap(): number {
  const text = readTextFile("/proc/meminfo");
  const kilobytes = (key: string) =>
    Number(new RegExp(`^${key}: *(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
  return 1024 * (kilobytes("MemTotal") + kilobytes("SwapTotal"));
}
