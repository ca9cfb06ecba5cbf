/**
 * Whether KVM works, and what it can do. /dev/kvm is asked, not CPUID: a KVM need not be made of VT-x
 * or SVM, and where those are visible it may still be switched off.
 *
 * @module
 */
import { HostError, HvshError } from "../../ffi/errors.ts";
import { Capability } from "../../ffi/kvm/ioctl.ts";
import { Kvm } from "../../ffi/kvm/kvm.ts";
import { type Finding, finding, readSetting } from "./finding.ts";

const DEVICE = "/dev/kvm";

/** Without these no guest runs; without another one something works less well. */
const REQUIRED: readonly string[] = ["USER_MEMORY", "EXT_CPUID", "IMMEDIATE_EXIT"];
/** Those that are limits: the number is worth reading. */
const LIMITS: readonly string[] = ["NR_VCPUS", "MAX_VCPUS", "NR_MEMSLOTS"];

/** A KVM as far as it is asked here; a test has its own. */
export type KvmSource = () => Pick<Kvm, "capability" | "createVm"> & Disposable;

/**
 * Looks at KVM.
 *
 * @param open Opens it
 * @returns What was found; the first that is `missing` says why no guest can run
 */
export function kvmFindings(open: KvmSource = () => new Kvm()): Finding[] {
  const modules = [moduleFinding()];
  try {
    using kvm = open();
    return [
      { state: "ok", check: DEVICE, detail: "opens, API version 12" },
      ...modules,
      vmFinding(kvm),
      ...capabilityFindings(kvm),
    ];
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return [
      { state: "missing", check: DEVICE, detail: error.message, fix: openFix(error) },
      ...modules,
    ];
  }
}

function openFix(error: HostError): string {
  switch (error.code) {
    case "EACCES":
    case "EPERM":
      return permissionFix();
    case "ENOENT":
    case "ENODEV":
    case "ENXIO":
      return loadModuleFix();
    default:
      return error.hint ?? "dmesg | grep -i kvm";
  }
}

/** The usual group, unless the device has none that could help. */
function permissionFix(): string {
  const mode = statOf(DEVICE)?.mode ?? 0;
  const groupMayWrite = (mode & 0o060) === 0o060;
  return groupMayWrite
    ? "sudo usermod -aG kvm $USER, then log in again"
    : "sudo chgrp kvm /dev/kvm && sudo chmod g+rw /dev/kvm && sudo usermod -aG kvm $USER";
}

function loadModuleFix(): string {
  if (statOf("/.dockerenv") !== undefined || statOf("/run/.containerenv") !== undefined) {
    return "start the container with --device /dev/kvm";
  }
  switch (vendor()) {
    case "GenuineIntel":
      return "sudo modprobe kvm_intel; in a VM, have its host allow nested virtualization";
    case "AuthenticAMD":
    case "HygonGenuine":
      return "sudo modprobe kvm_amd; in a VM, have its host allow nested virtualization";
    default:
      return "this CPU has no KVM that is known here";
  }
}

function vendor(): string | undefined {
  return /^vendor_id\s*: (.*)$/m.exec(readSetting("/proc/cpuinfo") ?? "")?.[1];
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/** Which module serves KVM; one that is built into the kernel shows here too, if it has parameters. */
function moduleFinding(): Finding {
  const check = "KVM module";
  const loaded = ["kvm_intel", "kvm_amd"].filter((name) =>
    statOf(`/sys/module/${name}`) !== undefined
  );
  if (loaded.length === 0) {
    const other = statOf("/sys/module/kvm") === undefined
      ? "none"
      : "neither kvm_intel nor kvm_amd";
    return { state: "ok", check, detail: `${other} (${vendor() ?? "unknown CPU"})` };
  }
  const nested = readSetting(`/sys/module/${loaded[0]}/parameters/nested`);
  const detail = `${loaded.join(", ")}${nested === undefined ? "" : `, nested=${nested}`}`;
  return { state: "ok", check, detail };
}

/** Firmware that locks VT-x, or another hypervisor, shows only here. */
function vmFinding(kvm: ReturnType<KvmSource>): Finding {
  try {
    using vm = kvm.createVm();
    using _vcpu = vm.createVcpu(0);
    return { state: "ok", check: "KVM_CREATE_VM", detail: "makes a VM with a vCPU" };
  } catch (error) {
    if (!(error instanceof HvshError)) throw error;
    return {
      state: "missing",
      check: "KVM_CREATE_VM",
      detail: error.message,
      fix: error.hint ?? "end other hypervisors; enable virtualization in the firmware's setup",
    };
  }
}

function capabilityFindings(kvm: ReturnType<KvmSource>): Finding[] {
  return Object.entries(Capability).map(([name, number]) => {
    const value = kvm.capability(number);
    const has = LIMITS.includes(name) ? `${value}` : "yes";
    return finding(value > 0, `KVM_CAP_${name}`, value > 0 ? has : "this kernel's KVM lacks it", {
      state: REQUIRED.includes(name) ? "missing" : "warn",
      fix: "a newer kernel, or a CPU that has it",
    });
  });
}
