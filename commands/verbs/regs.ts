/**
 * `hvsh regs`: a VM's registers, read and set.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import { registersFromJson, registersToJson } from "../../vmm/debug/register_files.ts";
import { registerGroups } from "../../vmm/debug/register_files.ts";
import { isGroup } from "../../vmm/debug/register_selection.ts";
import { HANDLES, namedVms, request } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import { registerText } from "../register_text.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const ASSIGNMENT = /^([\w.]+)=(.+)$/;
const REGISTER = /^[\w.]+$/;

/** The row of `regs`. */
export const verb: Verb = {
  name: "regs",
  summary: "Show the registers of live VMs, or set them",
  description:
    "Prints a record for each vCPU, which is held for that moment: general, segment and control " +
    `registers, or the groups that are named (${registerGroups.join(", ")}; all), or single ` +
    "registers behind --get. With --set it writes those that are named, all or none, and passes the " +
    "handles on. MSRs go by their names or as msr_0xNUMBER.",
  group: "live",
  flags: {
    cpu: { value: "number", metavar: "N", help: "Only this vCPU (all; --set: 0)" },
    get: { value: "register", metavar: "NAME", repeat: true, help: "A register to show" },
    set: {
      value: "register-setting",
      metavar: "NAME=VALUE",
      repeat: true,
      help: "A register to set",
    },
  },
  arguments: [{
    name: "WORD",
    value: "vm",
    optional: true,
    repeat: true,
    behind: "register-group",
    help: "VMs, groups of registers, more NAME=VALUE",
  }],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh regs web --set rip=0x1000 rflags=2", needs: "kvm" },
    { line: "hvsh regs web msr --cpu 1 | jq -r .lstar", needs: "kvm" },
  ],
  async run(words, context) {
    const parts = sort((words.word ?? []) as readonly string[]);
    const assigned = [...(words.set ?? []) as readonly string[], ...parts.assignments];
    if (parts.assignments.length > 0 && words.set === undefined) {
      throw new UsageError(`"${parts.assignments[0]}" wants --set before it`);
    }
    const named = { ...words, name: parts.vms };
    return assigned.length > 0
      ? await set(assignments(assigned), named, context)
      : await show([...parts.groups, ...(words.get ?? []) as readonly string[]], named, context);
  },
};

/** What each word is, by its looks. */
function sort(words: readonly string[]) {
  const assignments = words.filter((word) => ASSIGNMENT.test(word));
  const groups = words.filter((word): boolean => isGroup(word) || word === "all");
  const vms = words.filter((word) => !assignments.includes(word) && !groups.includes(word));
  return { assignments, groups, vms };
}

function assignments(words: readonly string[]): Record<string, string> {
  const pairs = words.map((word) => {
    const match = ASSIGNMENT.exec(word);
    if (match === null) throw new UsageError(`"${word}" is not NAME=VALUE`);
    return [match[1]!, match[2]!] as const;
  });
  return registersToJson(registersFromJson(Object.fromEntries(pairs)));
}

/**
 * The VMs, all of which are there before the first is looked at: a word may be neither a VM nor a group, but
 * a register.
 */
async function vmsOf(
  words: Words,
  context: VerbContext,
): Promise<Iterable<RunDirectory> | AsyncIterable<RunDirectory>> {
  const names = words.name as readonly string[];
  if (names.length === 0 || names.includes(HANDLES)) return namedVms(words, context);
  const found = new Map<string, RunDirectory>();
  for (const name of names) {
    try {
      for await (const vm of namedVms({ name }, context)) found.set(vm.name, vm);
    } catch (error) {
      if (!(error instanceof VmError) || !REGISTER.test(name)) throw error;
      const hint = `--get ${name}, if it is a register; ${error.hint}`;
      throw new VmError(error.message, { hint, cause: error });
    }
  }
  return found.values();
}

async function set(
  registers: Record<string, string>,
  words: Words,
  context: VerbContext,
): Promise<number> {
  for await (const vm of await vmsOf(words, context)) {
    await call(vm.control, "inspect.setRegisters", { cpu: words.cpu ?? 0, registers });
    await context.emit(await request(vm, "status"));
  }
  return 0;
}

async function show(names: readonly string[], words: Words, context: VerbContext): Promise<number> {
  for await (const vm of await vmsOf(words, context)) {
    const params = { ...(words.cpu === undefined ? {} : { cpu: words.cpu }), names };
    const found = await call(vm.control, "inspect.registers", params) as {
      cpu: number;
      registers: Record<string, string>;
    }[];
    for (const { cpu, registers } of found) {
      if (context.forPerson) {
        await context.print(registerText(vm.name, cpu, registers, context.look?.columns));
      } else await context.emit({ live: vm.name, cpu, ...registers });
    }
  }
  return 0;
}
