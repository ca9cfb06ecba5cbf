/**
 * hvsh as a library: describe a VM with the shell's own verbs, start it in this process, read its
 * console, await its end. It needs `--allow-all`: FFI has no finer permission.
 *
 * @example A boot sector that prints
 * ```ts
 * import { create } from "./mod.ts";
 * import assert from "node:assert/strict";
 *
 * // mov dx,0x3f8; mov al,'H'; out dx,al; mov al,'\n'; out dx,al; hlt
 * const bytes = Uint8Array.of(0xba, 0xf8, 0x03, 0xb0, 0x48, 0xee, 0xb0, 0x0a, 0xee, 0xf4);
 *
 * await using vm = await create({ memory: "64M" }).flat(bytes).start();
 * assert.equal(await vm.console.until("\n"), "H\n");
 * assert.equal((await vm.ended).status, 0);
 * ```
 *
 * @module
 */
export { create, type CreateOptions, fromDocument, VmBuilder } from "./commands/api/builder.ts";
export { connect, type EventOptions, LiveVm, type VmStatus } from "./commands/api/live_vm.ts";
export { ForkPool, type ForkVmOptions } from "./commands/api/fork_pool.ts";
export { Vm } from "./commands/api/vm.ts";
export { restore, type RestoreVmOptions } from "./commands/api/vm_stream.ts";
export { VmConsole } from "./commands/api/vm_console.ts";
export { VmMemory } from "./commands/api/vm_memory.ts";
export type { RegisterOptions } from "./commands/api/vm_registers.ts";
export type { AddressKind } from "./commands/live/memory_access.ts";
export type { RegisterValues } from "./vmm/debug/register_files.ts";
export { type FigureOptions, VmWatch } from "./commands/api/vm_watch.ts";
export type { VmEvent } from "./commands/live/event_log.ts";
export type { ExitRecord as VmExitRecord } from "./commands/live/owner.ts";
export {
  DocumentError,
  GuestError,
  HostError,
  HvshError,
  ImageError,
  UsageError,
  VmError,
} from "./ffi/errors.ts";
export type { Fault } from "./vmm/cpu/fault.ts";
export type { TracedExit, TraceOptions } from "./vmm/debug/exit_trace.ts";
export type { FigureRecord } from "./vmm/debug/machine_figures.ts";
export type { ProfileOptions, StackMode, StackSample } from "./vmm/debug/profile.ts";
export type { AddressSpan } from "./vmm/debug/watch_plan.ts";
export type {
  ByteSink,
  Device,
  DeviceContext,
  DeviceEvent,
  DeviceType,
  InterruptLine,
  IoEvent,
  IoHandler,
  IoRange,
  PrepareContext,
  Prepared,
  StopKind,
  Width,
} from "./vmm/device.ts";
export type { DeviceEntry, VmDocument } from "./vmm/document.ts";
export type { VmEnd, VmEndKind } from "./vmm/end.ts";
export type { IoLoop, IoTimer } from "./vmm/io_loop.ts";
export type { MachineState } from "./vmm/machine.ts";
export type { PciBar, PciFunction, PciInterrupts } from "./vmm/pci/function.ts";
export { ProtocolError } from "./vmm/virtio/virtio_device.ts";
export type {
  Chain,
  VirtioContext,
  VirtioDevice,
  VirtioDeviceType,
  Virtqueue,
} from "./vmm/virtio/virtio_device.ts";
export { addr64, array, bytes, f64, i32, struct, u16, u32, u64, u8 } from "./ffi/struct.ts";
export type { Field, Struct, StructType } from "./ffi/struct.ts";
