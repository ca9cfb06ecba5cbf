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
    wait: () => vm.exit(),
    kill: async () => vm.record(await machine.stop()),
    pause: async () => {
      await machine.pause();
      return vm.handle();
    },
    resume: () => {
      machine.resume();
      return vm.handle();
    },
  };
};
