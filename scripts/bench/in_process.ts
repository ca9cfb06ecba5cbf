/**
 * hvsh inside this process: what a program that uses it as a library gets.
 *
 * @module
 */
import { traceExits } from "../../vmm/debug/exit_trace.ts";
import type { VmDocument } from "../../vmm/document.ts";
import type { VmEndKind } from "../../vmm/end.ts";
import { Machine } from "../../vmm/machine.ts";
import { AT_BOOT_SECTOR } from "./guests.ts";

/** As much as c_vmm.c gives. */
const MEMORY = 2 ** 20;
const MARK = "mark0";

/**
 * The document of a bench's guest: a serial port, the mark port, no interrupt controllers.
 *
 * @param guest Code for {@linkcode AT_BOOT_SECTOR}
 * @returns The document
 */
export function benchDocument(guest: Uint8Array): VmDocument {
  return {
    vm: 1,
    memory: [{ type: "ram", base: 0, size: MEMORY }],
    boot: { flat: { images: [{ data: guest.toBase64(), base: AT_BOOT_SECTOR.address }] } },
    devices: [
      { type: "serial" },
      { type: "module", name: MARK, module: new URL("./mark_device.ts", import.meta.url).href },
    ],
  };
}

/**
 * Runs a guest that marks a begin and an end in a vCPU's thread of its own.
 *
 * @param document What {@linkcode benchDocument} gave
 * @param traced Whether each of its exits is traced
 * @returns Milliseconds between its marks
 * @throws {Error} If it did not get to its end
 */
export async function millisecondsBetweenMarks(
  document: VmDocument,
  traced = false,
): Promise<number> {
  await using machine = await Machine.create(document);
  const written: number[] = [];
  machine.console.attach((bytes, device) => {
    if (device === MARK) written.push(...bytes);
  });
  machine.start({ paused: traced });
  if (traced) {
    const exits = traceExits(machine.watch);
    await exits.next(); // it is on
    machine.resume();
    let count = 0;
    for await (const batch of exits) count += batch.length;
    if (count === 0) throw new Error("No exit was traced");
  }
  const { kind } = await machine.ended;
  requireEnd(kind, "reset");
  if (written.length !== 8) throw new Error("The guest in hvsh did not mark its end");
  return new Float64Array(Uint8Array.from(written).buffer)[0]!;
}

/**
 * Makes a machine, runs it to its end and frees it.
 *
 * @param document What {@linkcode benchDocument} gave, of a guest that resets
 * @throws {Error} If it ended in another way
 */
export async function runOnce(document: VmDocument): Promise<void> {
  await using machine = await Machine.create(document);
  machine.start({ sprint: true });
  const { kind } = await machine.ended;
  requireEnd(kind, "reset");
}

function requireEnd(kind: VmEndKind, expected: VmEndKind): void {
  if (kind !== expected) throw new Error(`The guest in hvsh ended by ${kind}, not ${expected}`);
}
