/**
 * A vCPU's registers as files: `name value` both ways, and `name=value`.
 *
 * @module
 */
import { registersFromJson, registersToJson } from "../../vmm/debug/register_files.ts";
import type { FileNode } from "./node.ts";
import { textFile } from "./text_file.ts";
import { LineError } from "./vm_place.ts";
import type { VcpuPlace } from "./vcpu_folder.ts";

/** Registers as the owner gives them. */
export interface RegistersRecord {
  readonly registers: Readonly<Record<string, string>>;
}

/**
 * A file of registers.
 *
 * @param vcpu Whose
 * @param path The file, from the vCPU's folder on
 * @param groups Which it shows; those of all groups can be written
 */
export function registersFile(
  { vm, cpu }: VcpuPlace,
  path: string,
  groups: readonly string[],
): FileNode {
  const where = `vcpus/${cpu}/${path}`;
  return textFile({
    read: (asker) =>
      vm.attempt(where, async () => {
        const params = { cpu, names: groups };
        const [found] = await vm.ask("inspect.registers", params, asker) as RegistersRecord[];
        return Object.entries(found!.registers).map(([name, value]) => `${name} ${value}\n`)
          .join("");
      }),
    write: (text, asker) =>
      vm.attempt(where, async () => {
        const registers = parseAssignments(text);
        if (Object.keys(registers).length === 0) return;
        await vm.ask("inspect.setRegisters", { cpu, registers }, asker);
      }, text),
  });
}

/**
 * Reads what is to be set.
 *
 * @param text `name=value` words, or lines of `name value`
 * @returns Values by name, as `"0x…"`
 * @throws {LineError} Naming the word that is neither
 */
export function parseAssignments(text: string): Record<string, string> {
  const pairs: [string, string][] = [];
  for (const line of text.split("\n")) {
    const words = [...line.matchAll(/\S+/g)];
    for (let i = 0; i < words.length; i++) {
      const { 0: word, index } = words[i]!;
      const equals = word.indexOf("=");
      const name = equals < 0 ? word : word.slice(0, equals);
      const value = equals < 0 ? words[++i]?.[0] : word.slice(equals + 1);
      if (!/^[\w.]+$/.test(name)) {
        throw new LineError(`"${name}" is no name of a register`, { line, column: index });
      }
      if (value === undefined || !/^(0x[0-9a-f]+|\d+)$/i.test(value)) {
        const column = equals < 0 ? words[i]?.index ?? line.length : index + equals + 1;
        const found = value === undefined || value === "" ? "nothing" : `"${value}"`;
        throw new LineError(`${name}: ${found} is not a register's value`, { line, column });
      }
      pairs.push([name, value]);
    }
  }
  return registersToJson(registersFromJson(Object.fromEntries(pairs)));
}
