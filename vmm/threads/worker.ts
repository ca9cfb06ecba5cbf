/// <reference lib="deno.worker" />
/**
 * The Worker behind a machine's thread: opens a VM's devices, runs a vCPU or serves devices until the
 * VM stops, says how it ended, and waits for the next VM. Left idle for a while it ends itself, so
 * that a program which is done with its VMs can end too.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { viewMemory } from "../../ffi/mapping.ts";
import { holdSigpipe, threadId } from "../../ffi/signals.ts";
import { Arena } from "../arena.ts";
import type { Fault } from "../cpu/fault.ts";
import { CHANGE, runVcpu, type VcpuPlace } from "../cpu/loop.ts";
import type { WatchPlan } from "../debug/watch_plan.ts";
import type { DevicePlan, DeviceType } from "../device.ts";
import { DeviceSet, type OpenDevice, type PlacedDevice } from "../device_set.ts";
import { loadDeviceType } from "../devices/registry.ts";
import { IoThreadLoop } from "./io_thread_loop.ts";
import {
  IDLE_MILLISECONDS,
  type IoAssignment,
  Lease,
  type ThreadChange,
  type ThreadOrder,
  type ThreadReport,
  type VcpuAssignment,
} from "./thread.ts";

let lease: Int32Array | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

/** Changes that came, and who waits for one. */
const changes: ThreadChange[] = [];
let changeCame: (() => void) | undefined;

self.onmessage = async ({ data }: MessageEvent<ThreadOrder>) => {
  if (data instanceof Int32Array) {
    lease = data;
    report({ kind: "ready" });
    closeWhenIdle();
    return;
  }
  if (data.kind === "load") {
    // What does not load is told of when it is run.
    await Promise.all(data.devices.map(typeOf)).catch(() => {});
    report({ kind: "loaded" });
    return;
  }
  if (data.kind !== "vcpu" && data.kind !== "io") {
    changes.push(data);
    changeCame?.();
    return;
  }
  clearTimeout(idle);
  changes.length = 0; // of a VM that ended before it took them
  try {
    const fault = data.kind === "vcpu" ? await runAsVcpu(data) : await serveDevices(data);
    report({ kind: "ended", ...(fault === undefined ? {} : { fault }) });
  } catch (error) {
    report({ kind: "failed", ...describe(error) });
  }
  closeWhenIdle();
};

/** Ends the Worker once it has been idle for a while, unless somebody has just taken it. */
function closeWhenIdle(): void {
  idle = setTimeout(() => {
    const was = Atomics.compareExchange(lease!, 0, Lease.IDLE, Lease.CLOSED);
    if (was === Lease.IDLE) self.close();
    else closeWhenIdle();
  }, IDLE_MILLISECONDS);
}

async function runAsVcpu(assignment: VcpuAssignment): Promise<Fault | undefined> {
  const { id, plan, vcpuFd, runAddress, runSize } = assignment;
  const arena = new Arena(assignment.arena);
  const devices = await openDevices(arena, assignment);
  // The views go before the report: the main thread unmaps as soon as it has that.
  const run = viewMemory(runAddress, runSize);
  const { irqchip } = plan;
  const place: VcpuPlace = { id, fd: vcpuFd, run, arena, devices, irqchip, yields: false };
  try {
    arena.setThreadId(id, threadId());
    for (;;) {
      const result = runVcpu(place);
      if (result !== CHANGE) return typeof result === "object" ? result : undefined;
      await takeChange({
        devices,
        taken: () => arena.changeDone(id),
        watch: async (plan) => {
          const { watchVcpu } = await import("../debug/vcpu_watch.ts");
          place.watch = watchVcpu(plan, place);
        },
      });
    }
  } finally {
    place.watch?.tracer?.answered(); // the exit that was the end
    arena.setThreadId(id, 0); // nothing to kick any more
    run.transfer(0);
    devices.close();
  }
}

async function serveDevices(assignment: IoAssignment): Promise<undefined> {
  const { id, plan } = assignment;
  const arena = new Arena(assignment.arena);
  // A peer that hangs up concerns one device.
  holdSigpipe();
  const devices = await openDevices(arena, assignment);
  try {
    using loop = new IoThreadLoop(arena, devices, id, plan.ioFds[id]!);
    loop.standAtFirst((pause) => report({ kind: "stands", pause, kept: {} }));
    for (const open of devices.devices) {
      if (open.io === id) loop.serve(open, assignment.kept[open.name]);
    }
    for (let leave = loop.run(); leave !== "stop"; leave = loop.run()) {
      if (leave === "stands") {
        report({ kind: "stands", pause: loop.pause, kept: loop.kept() });
        continue;
      }
      await takeChange({
        devices,
        taken: () => arena.ioChangeDone(id),
        follow: (open, came) => {
          if (open.io !== id) return;
          if (came) loop.serve(open);
          else loop.release(open);
        },
      });
    }
  } finally {
    devices.close();
  }
}

async function openDevices(arena: Arena, { plan }: { plan: VcpuAssignment["plan"] }) {
  const devices = new DeviceSet(arena, plan, (device, event) => {
    report({ kind: "event", device, event });
  });
  const types = await Promise.all(plan.devices.map(({ plan }) => typeOf(plan)));
  for (const [i, placed] of plan.devices.entries()) devices.attach(placed, types[i]!);
  return devices;
}

/** A thread that takes changes. */
interface ChangingThread {
  readonly devices: DeviceSet;
  /** The change's mark can go. */
  taken(): void;
  /** A device came, or goes. */
  follow?(open: OpenDevice, came: boolean): void;
  /** Something else is to be watched. */
  watch?(plan: WatchPlan): Promise<void>;
}

/** Takes the change that this thread was brought out of its loop for. */
async function takeChange(thread: ChangingThread): Promise<void> {
  while (changes.length === 0) {
    await new Promise<void>((resolve) => changeCame = resolve);
  }
  changeCame = undefined;
  thread.taken(); // before the report, which the next change may follow at once
  try {
    await apply(changes.shift()!, thread);
    report({ kind: "changed" });
  } catch (error) {
    report({ kind: "changed", failure: describe(error) });
  }
}

async function apply(change: ThreadChange, { devices, follow, watch }: ChangingThread) {
  switch (change.kind) {
    case "watch":
      return await watch?.(change.plan);
    case "attach": {
      const placed: PlacedDevice = change.placed;
      const open = devices.attach(placed, await typeOf(placed.plan));
      follow?.(open, true);
      return;
    }
    case "detach": {
      const open = devices.devices.find(({ name }) => name === change.name);
      if (open === undefined) return;
      follow?.(open, false);
      devices.detach(open.name);
    }
  }
}

function typeOf({ type, module, transport }: DevicePlan): Promise<DeviceType> {
  return loadDeviceType(type, module, transport);
}

function describe(error: unknown): { message: string; hint?: string } {
  const { message } = error as Error;
  const hint = error instanceof HvshError ? error.hint : undefined;
  return { message, ...(hint === undefined ? {} : { hint }) };
}

function report(message: ThreadReport): void {
  self.postMessage(message);
}
