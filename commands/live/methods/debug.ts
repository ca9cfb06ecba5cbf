/**
 * A VM's breakpoints and single steps. Addresses go as `"0x…"`, since they have 64 bits.
 *
 * @module
 */
import { VmError } from "../../../ffi/errors.ts";
import type { Breakpoint, BreakpointKind } from "../../../vmm/debug/breakpoint_table.ts";
import { parseCondition } from "../../../vmm/debug/condition.ts";
import { isRegister } from "../../../vmm/debug/debug_scope.ts";
import type { TargetArchitecture } from "../../../vmm/debug/gdb/target_registers.ts";
import type { MethodGroup } from "../methods.ts";

/** A breakpoint as others see it. */
export interface BreakpointRecord {
  readonly breakpoint: number;
  readonly kind: BreakpointKind;
  readonly address: string;
  /** What the address was called when it was set. */
  readonly symbol?: string;
  readonly length?: number;
  readonly how: Breakpoint["how"];
  readonly physical?: true;
  readonly if?: string;
  readonly hits: number;
}

/** Where a vCPU stands after a step. */
export interface StepRecord {
  readonly cpu: number;
  /** Linear address of its next instruction. */
  readonly pc: string;
  /** What it met, if that was not the step alone. */
  readonly reason?: string;
  readonly breakpoint?: number;
}

const TARGETS: readonly TargetArchitecture[] = ["i386:x86-64", "i386"];

/** The group `debug`. */
export const methods: MethodGroup = (vm) => {
  const { machine } = vm;
  const labels = new Map<number, string>();
  const record = (breakpoint: Breakpoint): BreakpointRecord => {
    const { id, kind, address, length, how, physical, condition, hits } = breakpoint;
    const symbol = labels.get(id);
    return {
      breakpoint: id,
      kind,
      address: hex(address),
      ...(symbol === undefined ? {} : { symbol }),
      ...(kind === "execute" ? {} : { length }),
      how,
      ...(physical === true ? { physical } : {}),
      ...(condition === undefined ? {} : { if: condition.text }),
      hits,
    };
  };
  return {
    set: async (params) => {
      const { kind, address, symbol, length, how, physical, condition, symbols = {} } = params;
      const names = symbols as Record<string, string>;
      const parsed = condition === undefined ? {} : {
        condition: parseCondition(String(condition), isRegister, (name) => BigInt(names[name]!)),
      };
      const debug = await machine.debugger();
      const added = await debug.add({
        kind: kind as BreakpointKind,
        address: BigInt(String(address)),
        ...(length === undefined ? {} : { length: Number(length) }),
        ...(how === undefined ? {} : { how: how as Breakpoint["how"] }),
        ...(physical === true ? { physical } : {}),
        ...parsed,
      });
      if (typeof symbol === "string") labels.set(added.id, symbol);
      return record(added);
    },
    list: async () => (await machine.debugger()).breakpoints.map(record),
    delete: async ({ breakpoint }) => {
      const debug = await machine.debugger();
      if (await debug.remove(({ id }) => id === breakpoint) > 0) return;
      throw new VmError(`VM "${vm.name}" has no breakpoint ${breakpoint}`, {
        hint: `hvsh break ${vm.name}`,
      });
    },
    step: async ({ cpu }, { gone }): Promise<StepRecord | null> => {
      const debug = await machine.debugger();
      const stop = await debug.step(Number(cpu ?? 0), gone);
      if (stop === undefined) return null;
      const { reason, pc, breakpoint } = stop;
      return {
        cpu: stop.cpu,
        pc: hex(pc),
        ...(reason === "step" ? {} : { reason }),
        ...(breakpoint === undefined ? {} : { breakpoint: breakpoint.id }),
      };
    },
    /** Opens a socket for one connection of GDB's. */
    gdb: async ({ architecture }) => {
      const { openGdbSocket } = await import("../gdb_socket.ts");
      const wanted = TARGETS.find((target) => target === architecture);
      const failed = (error: unknown) => {
        machine.tell({ kind: "error", message: `gdb: ${(error as Error).message}` });
      };
      return { path: await openGdbSocket(machine, vm.directory, wanted, failed) };
    },
    /** Waits until the VM does not run. */
    wait: async (_params, { gone }) => {
      await machine.standing(gone);
      return machine.state === "ended" ? vm.record(await machine.ended) : vm.handle();
    },
  };
};

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
