/**
 * `hvsh disasm`: a VM's code as instructions.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import {
  codeBits,
  type CodeMode,
  describeTarget,
  disassemble,
  MOST_INSTRUCTION_BYTES,
} from "../../vmm/debug/disassembly.ts";
import type { Symbols } from "../../vmm/debug/symbols.ts";
import { namedVms } from "../live/clients.ts";
import { LiveInside, numericAddress } from "../live/live_inside.ts";
import type { Verb, VerbContext, Words } from "../verb.ts";

const REGISTERS = ["cs.base", "cs.l", "cs.db", "efer", "rip"] as const;
const USUAL_COUNT = 10;
const MOST_COUNT = 1_000_000;

/** The row of `disasm`. */
export const verb: Verb = {
  name: "disasm",
  summary: "Show code of live VMs as instructions",
  description:
    "Disassembles from ADDR on, a linear address or a symbol of the guest's kernel, or from where the " +
    "vCPU stands; in 16, 32 or 64 bits as its CS says. Prints a record for each instruction, with the " +
    "names of the place and of what it jumps to where the kernel's symbols are found. A single word " +
    "that is no number is a VM.",
  group: "live",
  flags: {
    count: { short: "n", value: "number", metavar: "N", help: `Instructions (${USUAL_COUNT})` },
    cpu: { value: "number", metavar: "N", help: "Whose code and page tables (0)" },
    bits: { value: ["16", "32", "64"], metavar: "BITS", help: "How wide code is (as CS says)" },
  },
  arguments: [{
    name: "WORD",
    value: "vm",
    behind: "symbol",
    optional: true,
    repeat: true,
    help: "NAME, unless handles are on stdin, and ADDR",
  }],
  reads: "handles",
  writes: "records",
  examples: [
    { line: "hvsh disasm web start_kernel -n 20", needs: "kvm" },
    { line: "hvsh disasm web | jq -r .instruction", needs: "kvm" },
  ],
  async run(words, context) {
    const given = (words.word ?? []) as readonly string[];
    const named = given.length > 1 ||
      (given.length === 1 && numericAddress(given[0]!) === undefined);
    const [where, ...more] = named ? given.slice(1) : given;
    if (more.length > 0) throw new VmError(`"${more[0]}" is one word too many`);
    for await (const vm of namedVms({ ...words, name: named ? [given[0]!] : [] }, context)) {
      using inside = await LiveInside.open(vm);
      await show(inside, where, words, context);
    }
    return 0;
  },
};

async function show(
  inside: LiveInside,
  where: string | undefined,
  words: Words,
  context: VerbContext,
): Promise<void> {
  const cpu = words.cpu as number ?? 0;
  const count = Math.min(words.count as number ?? USUAL_COUNT, MOST_COUNT);
  const registers = await inside.registers(REGISTERS, cpu);
  const bits = words.bits === undefined
    ? codeBits(registers as unknown as CodeMode)
    : Number(words.bits) as 16 | 32 | 64;
  const base = bits === 64 ? 0n : registers["cs.base"]!;
  const start = where === undefined
    ? BigInt.asUintN(bits === 64 ? 64 : 32, base + registers.rip!)
    : await inside.address(where);
  const memory = await inside.virtual(cpu);
  const code = memory.readSome(start, count * MOST_INSTRUCTION_BYTES);
  if (code.length === 0) memory.read(start, new Uint8Array(1)); // which says why
  const symbols = await inside.symbols();
  for (const instruction of await disassemble(code, bits, start, count)) {
    const { address, bytes, text } = instruction;
    const symbol = symbols.describe(address);
    const target = describeTarget(instruction, symbols);
    if (context.forPerson) {
      await context.print(line(address, bytes, text, symbol, target));
    } else {
      await context.emit({
        live: inside.name,
        cpu,
        address: `0x${address.toString(16)}`,
        bytes: bytes.toHex(),
        instruction: text,
        ...(symbol === undefined ? {} : { symbol }),
        ...(target === undefined ? {} : { target }),
      });
    }
  }
}

type Name = ReturnType<Symbols["describe"]>;

function line(
  address: bigint,
  bytes: Uint8Array,
  text: string,
  symbol: Name,
  target: Name,
): string {
  const name = symbol === undefined ? "" : ` <${symbol}>`;
  const goes = target === undefined ? "" : `  ; ${target}`;
  return `${address.toString(16).padStart(8, "0")}${name}  ${
    bytes.toHex().padEnd(20)
  } ${text}${goes}\n`;
}
