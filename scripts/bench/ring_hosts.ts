/**
 * How hvsh and QEMU are told to run ring_guest.c with one device more.
 *
 * @module
 */
import type { Workbench } from "./workbench.ts";

const MEMORY = "64M";

/** Has QEMU keep the guest's memory in a memfd, as hvsh does. */
export const QEMU_MEMFD: readonly string[] = [
  ...["-object", `memory-backend-memfd,id=ram0,size=${MEMORY},share=on`],
  ...["-machine", "memory-backend=ram0"],
];

/**
 * hvsh with the guest.
 *
 * @param bench Where it is
 * @param firmware Path of the guest
 * @param device Flags of `hvsh run` for the device
 * @returns Program and arguments
 */
export function hvshWith(
  bench: Workbench,
  firmware: string,
  device: readonly string[],
): string[] {
  return [bench.hvsh, "run", "-m", MEMORY, "--firmware", firmware, ...device];
}

/**
 * QEMU with the guest.
 *
 * @param qemu Its program
 * @param firmware Path of the guest
 * @param device Its arguments for the device
 * @returns Program and arguments
 */
export function qemuWith(qemu: string, firmware: string, device: readonly string[]): string[] {
  return [
    ...[qemu, "-M", "q35,smm=off", "-accel", "kvm", "-m", MEMORY],
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-serial", "stdio", "-bios", firmware, ...device],
  ];
}
