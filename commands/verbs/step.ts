/**
 * `hvsh step`: one instruction after the other.
 *
 * @module
 */
import { UsageError } from "../../ffi/errors.ts";
import { codeBits, disassemble, MOST_INSTRUCTION_BYTES } from "../../vmm/debug/disassembly.ts";
import type { Symbols } from "../../vmm/debug/symbols.ts";
import { namedVms } from "../live/clients.ts";
import { call } from "../live/json_rpc.ts";
import { LiveInside } from "../live/live_inside.ts";
import type { StepRecord } from "../live/methods/debug.ts";
import type { RunDirectory } from "../live/run_directory.ts";
import type { Verb, VerbContext } from "../verb.ts";

const REGISTERS = ["cs.l", "cs.db", "efer", "cr0", "cr3", "cr4"] as const;

/** The row of `step`. */
export const verb: Verb = {
  name: "step",
  summary: "Have paused VMs carry out one instruction",
  description:
    "Has one vCPU of a paused VM carry out N instructions, the others standing, and prints a record " +
    "after each: the vCPU, the linear address of its next instruction, and that instruction. A guest " +
    "that ends meanwhile ends the steps.",
  group: "live",
  flags: {
    cpu: { value: "number", metavar: "N", help: "The vCPU (0)" },
  },
  arguments: [
    {
      name: "NAME",
      value: "paused-vm",
      optional: true,
      help: "the VM, a pattern, or - for handles on stdin",
    },
    { name: "N", value: "number", optional: true, help: "how many instructions (1)" },
  ],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh step web", needs: "kvm" },
    { line: "hvsh step web 1000 | jq -r .pc | sort | uniq -c", needs: "kvm" },
  ],
  async run(words, context) {
    const count = words.n as number ?? 1;
    if (count < 1) throw new UsageError(`${count} is no number of instructions`);
    for await (const vm of namedVms(words, context)) {
      await steps(vm, words.cpu as number ?? 0, count, context);
    }
    return 0;
  },
};

async function steps(
  vm: RunDirectory,
  cpu: number,
  count: number,
  context: VerbContext,
): Promise<void> {
  using inside = await LiveInside.open(vm);
  const symbols = await inside.symbols();
  for (let i = 0; i < count && !context.signal.aborted; i++) {
    const step = await call(vm.control, "debug.step", { cpu }, context.signal) as StepRecord | null;
    if (step === null) return; // the guest has ended
    const record = { live: vm.name, ...step, ...await instructionAt(step, inside, symbols) };
    if (context.forPerson === true) await context.print(line(record));
    else await context.emit(record);
  }
}

/** What the next instruction is, where it can be read. */
async function instructionAt({ cpu, pc }: StepRecord, inside: LiveInside, symbols: Symbols) {
  const address = BigInt(pc);
  const symbol = symbols.describe(address);
  const registers = await inside.registers(REGISTERS, cpu);
  const memory = await inside.virtual(cpu);
  const code = memory.readSome(address, MOST_INSTRUCTION_BYTES);
  const bits = codeBits(registers as unknown as Parameters<typeof codeBits>[0]);
  const [instruction] = await disassemble(code, bits, address, 1);
  return {
    ...(symbol === undefined ? {} : { symbol }),
    ...(instruction === undefined ? {} : { instruction: instruction.text }),
  };
}

function line(record: StepRecord & { symbol?: string; instruction?: string }): string {
  const { pc, symbol, instruction = "", reason } = record;
  const name = symbol === undefined ? "" : ` <${symbol}>`;
  return `${pc.slice(2).padStart(8, "0")}${name}  ${instruction}${
    reason === undefined ? "" : `  (${reason})`
  }\n`;
}
