/**
 * The owner's part where a migrating VM arrives: its machine is made and filled while it still runs on the
 * other side, stands ready, and runs once the other owner has said so. `migration.ts` tells of the
 * words.
 *
 * @module
 */
import { VmError } from "../../ffi/errors.ts";
import type { Json } from "../../ffi/struct.ts";
import type { Machine } from "../../vmm/machine.ts";
import { DescriptorSource } from "../../vmm/state/descriptor_stream.ts";
import { Word } from "./migration.ts";
import { MOST_LINE, parseLine, type PipeWord, sayLine } from "./pipe_lines.ts";
import { ownIdentity } from "./process_identity.ts";
import { RunDirectory } from "./run_directory.ts";

const STDIN = 0;
const STDOUT = 1;
const NEWLINE = 0x0a;

/** A VM that arrives on this process's stdin. */
export class Arrival {
  /**
   * The machine is made, and its memory will come now: has its threads started, and says so.
   *
   * @param machine The machine
   * @throws {VmError} If its name is taken, which is better told early
   */
  async made(machine: Machine): Promise<void> {
    const { name } = machine.document;
    if (name !== undefined && new RunDirectory(name).live) {
      throw new VmError(`There is a live VM named "${name}" here already`, {
        hint: "hvsh restore --live -n NAME gives the one that comes another name",
      });
    }
    await machine.warmUp();
    sayLine(STDOUT, { [Word.MADE]: true }); // to nobody, and the stream ends
  }

  /**
   * A round of memory is there: says so, if that is asked for.
   *
   * @param record What stands behind the round
   */
  moving(record: Json): void {
    const round = (record as { round?: Json } | null)?.round;
    if (typeof round === "number") sayLine(STDOUT, { [Word.READ]: round });
  }

  /**
   * Its state is there: starts it once the other side lets it run.
   *
   * @param machine The machine
   * @param paused Whether it is to stay paused; it does anyway if it was
   * @throws {VmError} If the other side keeps it; it has not run here then
   */
  async start(machine: Machine, paused: boolean): Promise<void> {
    await machine.startStanding();
    const ready = { [Word.RESTORED]: true, owner: ownIdentity() };
    const word = sayLine(STDOUT, ready) ? readLine() : undefined;
    if (word?.[Word.GO] !== true) {
      throw new VmError("The VM has not been moved: the other side has ended, or keeps it");
    }
    machine.takeDisks();
    // Who has said so runs: the other side ends as soon as it has read that.
    if (!sayLine(STDOUT, { [Word.RUNNING]: true })) {
      throw new VmError("The VM has not been moved: the other side has ended");
    }
    machine.letDevicesGo();
    if (!paused && word.paused !== true) machine.resume();
  }
}

/**
 * Reads a line of stdin, and no byte more; this process has nothing else to do meanwhile. Zeros before it
 * are still the archive's end.
 */
function readLine(): PipeWord | undefined {
  const source = new DescriptorSource(STDIN, "stdin");
  const line: number[] = [];
  const byte = new Uint8Array(1);
  while (line.length < MOST_LINE) {
    if (source.read(byte) === 0) return undefined;
    if (byte[0] === NEWLINE) return parseLine(new TextDecoder().decode(Uint8Array.from(line)));
    if (byte[0] !== 0 || line.length > 0) line.push(byte[0]!);
  }
  return undefined;
}
