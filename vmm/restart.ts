/**
 * Starts a machine anew in place: its devices, memory and vCPUs as they were before its first
 * instruction. What stands behind its devices, files and sockets, stays open.
 *
 * @module
 */
import { VmError } from "../ffi/errors.ts";
import type { Vcpu } from "../ffi/kvm/vcpu.ts";
import type { Arena } from "./arena.ts";
import { prepareBoot } from "./boot/prepare.ts";
import type { VcpuTraits } from "./cpu/create_vcpus.ts";
import { PowerOnState } from "./cpu/power_on.ts";
import { setStartState } from "./cpu/registers.ts";
import type { DevicePlan } from "./device.ts";
import type { DeviceHost, DeviceSet } from "./device_set.ts";
import type { VmDocument } from "./document.ts";
import type { MachineMemory } from "./memory.ts";

/** What a restart works on. */
export interface RestartParts {
  readonly document: VmDocument;
  readonly arena: Arena;
  readonly host: DeviceHost;
  readonly memory: MachineMemory;
  readonly devices: DeviceSet;
  readonly vcpus: readonly Vcpu[];
  readonly vcpuTraits: VcpuTraits;
  /** The devices that were there from the start: what tables tell of. */
  readonly plans: readonly DevicePlan[];
}

/** Starts one machine anew, as often as one likes. */
export class Restart {
  readonly #parts: RestartParts;
  #powerOn: PowerOnState | undefined;

  /**
   * @param parts What it works on
   */
  constructor(parts: RestartParts) {
    this.#parts = parts;
  }

  /**
   * Puts everything to where the first instruction is next. Every vCPU stands still meanwhile.
   *
   * @param ending Whether the machine comes to its end, which a restart does not hold up
   * @throws {HvshError} If an image can't be read again, or the host fails
   */
  async run(ending: () => boolean): Promise<void> {
    const { document, host, memory, devices, vcpus, vcpuTraits, plans } = this.#parts;
    for (const open of devices.devices) devices.reset(open);
    await this.#whenReset(ending);
    this.#powerOn ??= new PowerOnState(vcpuTraits);
    this.#powerOn.restore(host.vmFd, vcpus);
    memory.clear();
    const start = await prepareBoot(document, memory, plans, host.pciWindows);
    if (ending()) throw new VmError("The VM has ended");
    setStartState(vcpus[0]!, start);
  }

  /** Waits for what the host's kernel still does in guest memory for some device. */
  async #whenReset(ending: () => boolean): Promise<void> {
    const { arena, devices } = this.#parts;
    const busy = () => devices.devices.some(({ device }) => device.resetting?.() ?? false);
    for (;;) {
      const seen = arena.progress;
      if (ending()) throw new VmError("The VM has ended");
      if (!busy()) return;
      await arena.progressAfter(seen);
    }
  }
}
