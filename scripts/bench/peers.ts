/**
 * How QEMU and kvmtool are told to run a bench's guest with as little else as they can.
 *
 * @module
 */
import { firmware, IN_FIRMWARE, IN_KVMTOOL, Mark, type Placement } from "./guests.ts";
import type { Subject } from "./result.ts";
import type { Workbench } from "./workbench.ts";

/** A VMM of others that is on this machine. */
export interface Peer {
  readonly subject: Subject;
  /**
   * Makes a command of a guest.
   *
   * @param build Makes the guest for a place
   * @returns Program and arguments
   */
  command(build: (placement: Placement) => Uint8Array): Promise<string[]>;
}

/**
 * The peers of this machine.
 *
 * @param bench Where they are found and guests are written
 * @returns None to two of them
 */
export function peers(bench: Workbench): Peer[] {
  const { qemu, lkvm } = bench;
  const found: Peer[] = [];
  if (qemu !== undefined) {
    found.push({
      subject: "qemu",
      command: async (build) => [
        qemu,
        ...["-M", "microvm,pit=off,pic=off,rtc=off,isa-serial=on", "-accel", "kvm", "-m", "64M"],
        ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
        ...["-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
        ...["-bios", await bench.file(firmware(build(IN_FIRMWARE)))],
      ],
    });
  }
  if (lkvm !== undefined) {
    found.push({
      subject: "lkvm",
      command: async (build) => [
        lkvm,
        ...["run", "--mem", "64", "--cpus", "1", "--console", "serial", "--network", "mode=none"],
        ...["--kernel", await bench.file(build(IN_KVMTOOL))],
      ],
    });
  }
  return found;
}

/**
 * Runs a marked guest in a process and times its marks as they come out of the serial port.
 *
 * @param command Program and arguments
 * @param signal Ends it at once
 * @returns Milliseconds between the marks
 * @throws {Error} If it ended without both
 */
export async function millisecondsBetweenMarks(
  [program, ...args]: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  await using process = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    signal,
  }).spawn();
  let begin: number | undefined;
  let end: number | undefined;
  for await (const chunk of process.stdout) {
    const now = performance.now();
    if (chunk.includes(Mark.BEGIN)) begin ??= now;
    if (chunk.includes(Mark.END)) end ??= now;
  }
  if (begin === undefined || end === undefined) {
    throw new Error(`The guest in ${program} did not mark its begin and its end`);
  }
  return end - begin;
}
