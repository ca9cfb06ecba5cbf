/// <reference lib="deno.worker" />
/**
 * The Worker behind a vCPU's thread: opens a VM's devices, runs the loop until the VM stops, says
 * how it ended, and waits for the next VM. Left idle for a while it ends itself, so that a program
 * which is done with its VMs can end too.
 *
 * @module
 */
import { HvshError } from "../../ffi/errors.ts";
import { viewMemory } from "../../ffi/mapping.ts";
import { threadId } from "../../ffi/signals.ts";
import { Arena } from "../arena.ts";
import { DeviceSet } from "../device_set.ts";
import { loadDeviceType } from "../devices/registry.ts";
import { runVcpu } from "./loop.ts";
import { IDLE_MILLISECONDS, Lease, type VcpuAssignment, type VcpuReport } from "./thread.ts";

let lease: Int32Array | undefined;
let idle: ReturnType<typeof setTimeout> | undefined;

self.onmessage = async ({ data }: MessageEvent<Int32Array | VcpuAssignment>) => {
  if (data instanceof Int32Array) {
    lease = data;
    report({ kind: "ready" });
    closeWhenIdle();
    return;
  }
  clearTimeout(idle);
  try {
    await runAssignment(data);
  } catch (error) {
    const { message } = error as Error;
    const hint = error instanceof HvshError ? error.hint : undefined;
    report({ kind: "failed", message, ...(hint === undefined ? {} : { hint }) });
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

async function runAssignment(assignment: VcpuAssignment): Promise<void> {
  const { id, plan, vcpuFd, runAddress, runSize } = assignment;
  const types = await Promise.all(
    plan.devices.map(({ type, module }) => loadDeviceType(type, module)),
  );
  const arena = new Arena(assignment.arena);
  const devices = new DeviceSet(arena, plan, types);
  const run = viewMemory(runAddress, runSize);
  try {
    arena.setThreadId(id, threadId());
    const { irqchip } = plan;
    const fault = runVcpu({ id, fd: vcpuFd, run, arena, devices, irqchip, yields: false });
    arena.setThreadId(id, 0); // nothing to kick any more
    // The views go first: the main thread unmaps as soon as it has the report.
    run.transfer(0);
    devices.close();
    report({ kind: "ended", ...(typeof fault === "object" ? { fault } : {}) });
  } finally {
    if (!run.detached) run.transfer(0);
    devices.close();
  }
}

function report(message: VcpuReport): void {
  self.postMessage(message);
}
