/**
 * Puts a machine together: memory with what boots in it, the VM and its vCPUs, devices over their
 * arena.
 *
 * @module
 */
import { EventFd } from "../ffi/eventfd.ts";
import { VmError } from "../ffi/errors.ts";
import { Capability } from "../ffi/kvm/ioctl.ts";
import { Kvm } from "../ffi/kvm/kvm.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import { ArenaLayout } from "./arena_layout.ts";
import { Address } from "./board.ts";
import { bootKind } from "./boot/load.ts";
import { hasAcpi, prepareBoot, prepareFwCfg } from "./boot/prepare.ts";
import { composeCpuid } from "./cpu/cpuid.ts";
import { createBoard, createVcpus, type VcpuTraits } from "./cpu/create_vcpus.ts";
import { setStartState } from "./cpu/registers.ts";
import {
  deviceNeeds,
  loadDevice,
  type LoadedDevice,
  type PlacedPlan,
  Placer,
} from "./devices/place.ts";
import { planDevices } from "./devices/plan.ts";
import { type DeviceHost, DeviceSet, type EventSink, type PlacedDevice } from "./device_set.ts";
import type { VmDocument } from "./document.ts";
import { MachineMemory } from "./memory.ts";
import type { MemorySlot } from "./memory_slot.ts";
import type { Span } from "./pci/base_address.ts";
import type { RegionFile, SavedRegion } from "./state/regions.ts";
import { MachineThread } from "./threads/thread.ts";
import { WriteLog } from "./write_log.ts";

/** A device of the machine: what threads are told of it, and what it has open. */
export interface MachineDevice extends PlacedDevice {
  readonly resources: AsyncDisposable;
}

/** What a machine consists of; `resources` frees all of it. */
export interface MachineParts {
  readonly document: VmDocument;
  readonly vcpus: readonly Vcpu[];
  readonly vcpuTraits: VcpuTraits;
  /** Threads that were started ahead for vCPUs. */
  readonly threads: readonly MachineThread[];
  readonly layout: ArenaLayout;
  readonly host: DeviceHost;
  readonly memory: MachineMemory;
  readonly placer: Placer;
  readonly placed: readonly MachineDevice[];
  readonly devices: DeviceSet;
  readonly resources: AsyncDisposable;
}

/** What a machine goes on from, in place of booting. */
export interface Resumption {
  /** Its memory, and where bytes of it are already. */
  readonly regions: readonly SavedRegion[];
  readonly files?: ReadonlyMap<string, RegionFile>;
  /** The memory that is made of them already, which becomes the machine's. */
  readonly memory?: MachineMemory;
  /** What fw_cfg hands out, if it has one. */
  readonly fwCfg?: Readonly<Record<string, unknown>>;
  /** Whether it is to go on in the place of another one, which still has its disks. */
  readonly arriving?: boolean;
}

/**
 * Makes the parts of a machine, ready to start.
 *
 * @param document What it is
 * @param event Told of what happens to a device
 * @param resumption Have nothing booted: memory, devices and vCPUs get their state from elsewhere
 * @returns The parts; their owner frees them
 * @throws {DocumentError} If the document contradicts itself
 * @throws {ImageError} If an image is not what it says it is
 * @throws {HostError} If the host can't provide it
 */
export async function assembleMachine(
  document: VmDocument,
  event: EventSink,
  resumption?: Resumption,
): Promise<MachineParts> {
  const { cpus = 1, ioThreads = 1 } = document;
  const kind = bootKind(document.boot);
  await using stack = new AsyncDisposableStack();
  const kvm = stack.use(new Kvm());
  // Only a flat guest without devices to wait for does without interrupt controllers.
  const eager = document.irqchip ?? (cpus > 1 || kind !== "flat");
  // Such a machine lives for a while: its threads start while images are read.
  const threads = eager ? MachineThread.ahead(cpus) : [];
  const spare = stack.use(new DisposableStack());
  spare.defer(() => threads.forEach((thread) => thread.release()));
  const memory = stack.use(
    resumption === undefined
      ? new MachineMemory(document.memory ?? [])
      : resumption.memory ?? MachineMemory.restored(resumption.regions, resumption.files),
  );

  const loaded = await loadDevices(document, memory, kind);
  const wanted = loaded.some(({ type }) => type.bus === "pci");
  const virtio = loaded.some(({ transport }) => transport !== undefined);
  const irqchip = document.irqchip ?? (eager || wanted || virtio);
  const pci = document.pci ?? (wanted || (irqchip && kind !== "flat"));
  if (pci) loaded.push(await loadDevice({ name: "pci", type: "pci_host", config: {} }));
  const pciWindows = pci ? windowsBeside(memory.slots) : [];

  const placer = new Placer({
    pci,
    irqchip,
    ioThreads,
    arriving: resumption?.arriving === true,
    event,
    ...(document.name === undefined ? {} : { vm: document.name }),
  });
  const plans: PlacedPlan[] = [];
  const place = async (device: LoadedDevice) => {
    const placed = await placer.place(device);
    stack.use(placed.resources);
    plans.push(placed);
  };
  for (const device of loaded) await place(device);
  const told = [document, memory, plans.map(({ plan }) => plan), pciWindows] as const;
  const start = resumption === undefined ? await prepareBoot(...told) : undefined;
  const fwCfg = resumption === undefined ? await prepareFwCfg(...told) : resumption.fwCfg;
  if (fwCfg !== undefined) {
    await place(await loadDevice({ name: "fw_cfg", type: "fw_cfg", config: fwCfg }));
  }

  const vm = stack.use(kvm.createVm());
  if (!irqchip && cpus > 1) {
    throw new VmError(`${cpus} vCPUs need interrupt controllers, but "irqchip" is false`);
  }
  createBoard(vm, irqchip, memory);

  const layout = new ArenaLayout(cpus, plans.map(({ plan, type }) => deviceNeeds(plan, type)), pci);
  const served = pci || virtio;
  const ioFds = served ? Array.from({ length: ioThreads }, () => stack.use(new EventFd()).fd) : [];
  const writeLog = WriteLog.allocate(memory.slots);
  const host = { slots: memory.slots, writeLog, vmFd: vm.fd, irqchip, pciWindows, ioFds };
  const devices = new DeviceSet(layout.arena, host, event);
  stack.defer(() => devices.close());
  const placed = plans.map(({ plan, type, resources }, i) => {
    const slice = layout.slices[i]!;
    devices.reset(devices.attach({ plan, slice }, type));
    return { plan, slice, resources };
  });

  const cpuid = composeCpuid(kvm.supportedCpuid(), {
    ...document.cpu,
    cpus,
    tscDeadline: irqchip && kvm.capability(Capability.TSC_DEADLINE_TIMER) > 0,
  });
  const vcpuTraits = { cpus, irqchip, cpuid };
  const vcpus = createVcpus(vm, vcpuTraits, stack);
  if (start !== undefined) setStartState(vcpus[0]!, start);

  // Its owner needs some too: where a Worker or a listener for signals gets none, Deno panics.
  MachineThread.requireRoom(1);
  spare.move(); // whoever runs the machine gives the threads back
  return {
    ...{ document, vcpus, vcpuTraits, threads, layout, host, memory, placer, placed, devices },
    resources: stack.move(),
  };
}

async function loadDevices(
  document: VmDocument,
  memory: MachineMemory,
  kind: ReturnType<typeof bootKind>,
): Promise<LoadedDevice[]> {
  const planned = planDevices(document.devices ?? [], {
    rtc: { ...memorySizes(memory), cpus: document.cpus ?? 1 },
    acpi: hasAcpi(document, kind),
    firmware: kind === "firmware",
    testDevice: kind === "multiboot",
  });
  return await Promise.all(planned.map(loadDevice));
}

function memorySizes({ slots }: MachineMemory): { lowMemory: number; highMemory: number } {
  const sum = (high: boolean) =>
    slots.reduce((n, s) => n + (s.ram && (s.base >= Address.FOUR_GIB) === high ? s.size : 0), 0);
  return { lowMemory: sum(false), highMemory: sum(true) };
}

/** PCI's memory windows without what the document maps into them. */
function windowsBeside(slots: readonly MemorySlot[]): Span[] {
  return [
    ...free(Address.PCI_WINDOW, Address.PCI_WINDOW_END, slots),
    ...free(Address.FIRMWARE_PCI_WINDOW, Address.IOAPIC, slots),
  ];
}

/** What of some addresses no memory takes. */
function free(start: number, end: number, slots: readonly MemorySlot[]): Span[] {
  let from = start;
  const spans: Span[] = [];
  for (const { base, size } of slots) {
    if (base >= end || base + size <= from) continue;
    if (base > from) spans.push({ base: from, size: base - from });
    from = base + size;
  }
  return from < end ? [...spans, { base: from, size: end - from }] : spans;
}
