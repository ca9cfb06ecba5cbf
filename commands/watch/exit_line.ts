/**
 * Exits as lines for a person: columns that don't wait for what comes later.
 *
 * @module
 */
import type { ExitJson } from "./wire.ts";

const WIDTHS = {
  vm: 8,
  time: 12,
  vcpu: 4,
  reason: 14,
  where: 12,
  access: 7,
  value: 10,
  device: 10,
};

/** The line of titles. */
export function exitTitle(): string {
  return line(["VM", "SECONDS", "VCPU", "REASON", "WHERE", "ACCESS", "VALUE", "DEVICE", "TOOK"]);
}

/**
 * Writes an exit.
 *
 * @param vm The VM's name
 * @param exit The exit
 * @param start When the first one was, in nanoseconds
 * @returns A line with its end
 */
export function exitLine(vm: string, exit: ExitJson, start: number): string {
  const { time_ns, vcpu, reason, port, address, msr, direction, size, count } = exit;
  const { value, device, handled_ns, lost } = exit;
  const text = (word: ExitJson[string] | undefined) =>
    word === undefined ? "" : String(word ?? "-");
  return line([
    vm,
    ((Number(time_ns) - start) / 1e9).toFixed(6),
    text(vcpu),
    text(reason),
    text(port ?? address ?? msr),
    direction === undefined ? "" : `${direction} ${size}${count === undefined ? "" : `x${count}`}`,
    lost === undefined ? text(value) : `${lost} exits`,
    text(device),
    handled_ns === undefined ? "" : `${(Number(handled_ns) / 1000).toFixed(1)} us`,
  ]);
}

function line(cells: readonly string[]): string {
  const { vm, time, vcpu, reason, where, access, value, device } = WIDTHS;
  const widths = [vm, -time, -vcpu, reason, where, access, -value, device, -10];
  return cells.map((cell, i) => {
    const width = widths[i]!;
    return width < 0 ? cell.padStart(-width) : cell.padEnd(width);
  }).join(" ").trimEnd() + "\n";
}
