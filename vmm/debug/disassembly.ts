/**
 * Machine code as instructions. iced-x86 is loaded when it is first asked for.
 *
 * @module
 */
import type { Symbols } from "./symbols.ts";

/** The longest instruction. */
export const MOST_INSTRUCTION_BYTES = 15;

/** One instruction. */
export interface DisassembledInstruction {
  /** Where it lies, as the instruction pointer counts. */
  readonly address: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** In Intel's syntax; `(bad)` for a byte that begins none. */
  readonly text: string;
  /** What it jumps to, calls or addresses relative to itself. */
  readonly target?: bigint;
}

/**
 * Disassembles code.
 *
 * @param code The bytes
 * @param bits 16, 32 or 64
 * @param address The address of the first byte
 * @param most How many instructions at most
 * @returns The instructions that are whole
 * @example
 * ```ts
 * import { disassemble } from "./disassembly.ts";
 * import assert from "node:assert/strict";
 *
 * const [first] = await disassemble(Uint8Array.of(0xeb, 0xfe), 16, 0x7c00n);
 * assert.equal(first!.text, "jmp short 7C00h");
 * ```
 */
export async function disassemble(
  code: Uint8Array<ArrayBuffer>,
  bits: 16 | 32 | 64,
  address: bigint,
  most: number = Infinity,
): Promise<DisassembledInstruction[]> {
  const iced = await import("iced-x86");
  const { Decoder, DecoderError, DecoderOptions, FlowControl, Formatter, FormatterSyntax } = iced;
  const decoder = new Decoder(bits, code, DecoderOptions.None);
  const formatter = new Formatter(FormatterSyntax.Intel);
  const found: DisassembledInstruction[] = [];
  try {
    for (let from = 0; from < code.length && found.length < most;) {
      const here = BigInt.asUintN(64, address + BigInt(from));
      decoder.position = from;
      decoder.ip = here;
      const instruction = decoder.decode();
      try {
        if (decoder.lastError === DecoderError.NoMoreBytes) break;
        const bad = instruction.isInvalid;
        // An invalid one may take several bytes, the next of which begins a good one.
        const length = bad ? 1 : instruction.length;
        const near = instruction.flowControl !== FlowControl.Next && instruction.nearBranchTarget;
        const target = near ||
          (instruction.isIpRelMemoryOperand ? instruction.ipRelMemoryAddress : 0n);
        found.push({
          address: here,
          bytes: code.slice(from, from + length),
          text: bad ? "(bad)" : formatter.format(instruction),
          ...(target === 0n || bad ? {} : { target }),
        });
        from += length;
      } finally {
        instruction.free();
      }
    }
    return found;
  } finally {
    formatter.free();
    decoder.free();
  }
}

/** The registers that say how code is read. */
export interface CodeMode {
  readonly "cs.l": bigint;
  readonly "cs.db": bigint;
  readonly efer: bigint;
}

const EFER_LMA = 1n << 10n;

/**
 * How wide code is.
 *
 * @param registers What the CPU is set to
 * @returns Bits of addresses and operands that nothing says otherwise of (SDM vol. 3, 3.4.5)
 */
export function codeBits(registers: CodeMode): 16 | 32 | 64 {
  if ((registers.efer & EFER_LMA) !== 0n && registers["cs.l"] !== 0n) return 64;
  return registers["cs.db"] === 0n ? 16 : 32;
}

/**
 * What an instruction refers to, by name.
 *
 * @param instruction The instruction
 * @param symbols The guest's
 * @returns `schedule+0x10`; undefined if it refers to nothing that has a name
 */
export function describeTarget(
  { target }: DisassembledInstruction,
  symbols: Symbols,
): string | undefined {
  return target === undefined ? undefined : symbols.describe(target);
}
