/**
 * The life of a VM: its state, and what changes it.
 *
 * @module
 */
import type { MethodGroup } from "../methods.ts";

/** The group `control`. */
export const methods: MethodGroup = (vm) => {
  const { machine } = vm;
  return {
    status: () => vm.handle(),
    describe: () => ({
      ...vm.handle(),
      seconds: Math.round((Date.now() - vm.started) / 1000),
      cpus: machine.document.cpus ?? 1,
      memory: machine.slots.reduce((sum, { ram, size }) => sum + (ram ? size : 0), 0),
      devices: machine.devices.map(({ name }) => name),
      resets: machine.resets,
      ...(vm.foreground ? { foreground: true } : {}),
    }),
    wait: (_params, { gone }) => vm.exit(gone),
    kill: async ({ timeout }) =>
      vm.record(await machine.stop(timeout === true ? "timeout" : "killed")),
    pause: async () => {
      await machine.pause();
      return vm.handle();
    },
    resume: () => {
      machine.resume();
      return vm.handle();
    },
    reset: async () => {
      await machine.reset();
      return vm.handle();
    },
    stop: async ({ seconds }, { gone }) => {
      const { powerOff } = await import("../power_off.ts");
      const end = await powerOff(machine, Number(seconds), gone);
      return end === undefined ? vm.handle() : vm.record(end);
    },
  };
};
