/**
 * `hvsh break`: breakpoints and watchpoints of a live VM.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { parseCondition } from "../../vmm/debug/condition.ts";
import { isRegister } from "../../vmm/debug/debug_scope.ts";
import { namedVms } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { LiveInside, numericAddress } from "../live/live_inside.ts";
import type { BreakpointRecord } from "../live/methods/debug.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { outputFlag, type RecordLayout, writeRecords } from "../output.ts";
import type { Verb, Words } from "../verb.ts";

const LAYOUT: RecordLayout = {
  name: "breakpoint",
  columns: [
    { key: "live" },
    { key: "breakpoint", right: true },
    { key: "kind" },
    { key: "address" },
    { key: "symbol" },
    { key: "how" },
    { key: "if" },
    { key: "hits", right: true },
  ],
};

/** The row of `break`. */
export const verb: Verb = {
  name: "break",
  summary: "Stop live VMs at an instruction or an access to memory",
  description:
    "Sets a breakpoint at a linear address or a symbol of the guest's kernel, or lists what is set. A " +
    "VM that meets one is paused, with the reason in its handle; `wait --stop` waits for that, and " +
    "`resume` goes on. A CPU's four debug registers are used while one is free, else a trap is put " +
    "into the code. A condition has C's operators over registers, numbers, symbols and memory: " +
    "'rax == 5 && u8[rdi] != 0'.",
  group: "live",
  flags: {
    hw: { help: "Only in a debug register" },
    sw: { help: "Only by a trap in the code" },
    physical: { help: "ADDR is a guest-physical address; by a trap" },
    write: { help: "Stop when memory at ADDR has been written" },
    access: { help: "Stop when memory at ADDR has been read or written" },
    length: { value: "number", metavar: "BYTES", help: "Bytes to watch: 1, 2, 4 or 8 (1)" },
    if: { value: "condition", metavar: "CONDITION", help: "Stop only where this is not 0" },
    delete: { value: "number", metavar: "N", help: "Take breakpoint N away" },
    ...outputFlag,
  },
  arguments: [
    { name: "NAME", value: "vm", help: "the VM, a pattern, or - for handles on stdin" },
    { name: "ADDR", value: "symbol", optional: true, help: "an address or a symbol" },
  ],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh break web start_kernel && hvsh wait web --stop | hvsh regs", needs: "kvm" },
    { line: "hvsh break web 0x7c00 --if 'rcx == 0' | jq .breakpoint", needs: "kvm" },
  ],
  async run(words, context) {
    const records = async function* () {
      for await (const vm of namedVms(words, context)) {
        for (const record of await act(vm, words)) yield { live: vm.name, ...record };
      }
    };
    await writeRecords(records(), LAYOUT, words, context);
    return 0;
  },
};

async function act(vm: RunDirectory, words: Words): Promise<BreakpointRecord[]> {
  if (words.delete !== undefined) {
    await call(vm.control, "debug.delete", { breakpoint: words.delete });
    return [];
  }
  if (words.addr === undefined) {
    return await call(vm.control, "debug.list") as BreakpointRecord[];
  }
  if (words.hw === true && words.sw === true) throw new UsageError("Either --hw or --sw");
  if (words.write === true && words.access === true) {
    throw new UsageError("Either --write or --access: the second is for reads too");
  }
  const text = words.addr as string;
  using inside = await LiveInside.open(vm);
  const address = await inside.address(text);
  const kind = words.write === true ? "write" : words.access === true ? "access" : "execute";
  if (kind === "execute" && words.length !== undefined) {
    throw new UsageError("--length goes with --write or --access");
  }
  const set = await call(vm.control, "debug.set", {
    kind,
    address: hex(address),
    ...(numericAddress(text) === undefined ? { symbol: text } : {}),
    ...(words.length === undefined ? {} : { length: words.length }),
    ...(words.hw === true ? { how: "hardware" } : words.sw === true ? { how: "software" } : {}),
    ...(words.physical === true ? { physical: true } : {}),
    ...(words.if === undefined ? {} : await conditionOf(words.if as string, inside)),
  });
  return [set as BreakpointRecord];
}

/** A condition, and the addresses of the symbols in it. */
async function conditionOf(condition: string, inside: LiveInside) {
  const names = new Set<string>();
  parseCondition(condition, isRegister, (name) => {
    names.add(name);
    return 0n;
  });
  const symbols: Record<string, string> = {};
  for (const name of names) symbols[name] = hex(await inside.address(name));
  return { condition, symbols };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
