/**
 * A fault as people read it: what happened, the instruction, the registers.
 *
 * @module
 */
import type { Fault } from "./cpu/fault.ts";
import { disassemble } from "./debug/disassembly.ts";

const REGISTERS_A_LINE = 4;

/**
 * Describes a fault, disassembling the instruction if KVM gave its bytes.
 *
 * @param fault What a vCPU ran into
 * @returns Several lines, with no newline at the end
 */
export async function describeFault(fault: Fault): Promise<string> {
  const hex = (value: number | bigint) => `0x${value.toString(16)}`;
  const lines = [`vCPU ${fault.cpu}: ${fault.exit}: ${fault.detail} at ${hex(fault.address)}`];
  if (fault.instruction.length > 0) {
    const bytes = Array.from(fault.instruction, (b) => b.toString(16).padStart(2, "0")).join(" ");
    const address = BigInt(fault.address);
    const [first] = await disassemble(fault.instruction.slice(), fault.mode, address, 1);
    lines.push(`  ${bytes}  ${first?.text ?? "(bad)"}`);
  }
  const registers = Object.entries(fault.registers)
    .map(([name, value]) => `${name.padEnd(6)} ${value.toString(16).padStart(16, "0")}`);
  for (let i = 0; i < registers.length; i += REGISTERS_A_LINE) {
    lines.push(`  ${registers.slice(i, i + REGISTERS_A_LINE).join("  ")}`);
  }
  return lines.join("\n");
}
