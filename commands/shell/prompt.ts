/**
 * What stands before a line: `hvsh> `, or with a VM in use how that is, `hvsh boot:paused 0000:7c00> `.
 *
 * @module
 */
import { withinTime } from "../completions/within_time.ts";
import { call } from "../live/json_rpc.ts";
import { RunDirectory } from "../live/run_directory.ts";
import { readStatus } from "../live/status_file.ts";

/** How the VM in use is. */
export interface UsedVm {
  readonly name: string;
  /** `paused`, `running`…; `gone` if there is no such VM any more. */
  readonly state: string;
  /** Where its first vCPU stands, if it does. */
  readonly place?: string | undefined;
}

/** Registers that say where a vCPU stands, as `"0x…"`. */
type PlaceRegisters = Readonly<Record<"cs" | "rip" | "cr0", string>>;

/** How long a person waits for a prompt, in milliseconds. */
const ANSWER_MS = 150;
/** What a person sees first. */
export const GREETING = "hvsh, a hypervisor that you can pipe: `help` explains, Tab completes\n";
/** Protected mode is on (SDM vol. 3, 2.5). */
const CR0_PE = 1n;

/**
 * Writes the prompt.
 *
 * @param used The VM in use, if there is one
 */
export function promptText(used: UsedVm | undefined): string {
  if (used === undefined) return "hvsh> ";
  const { name, state, place } = used;
  return `hvsh ${name}:${state}${place === undefined ? "" : ` ${place}`}> `;
}

/**
 * Where a vCPU stands, as people write it: segment and offset in real mode, otherwise the address.
 *
 * @param registers Its registers
 */
export function placeText({ cs, rip, cr0 }: PlaceRegisters): string {
  if ((BigInt(cr0) & CR0_PE) !== 0n) return rip;
  return `${hex4(cs)}:${hex4(rip)}`;
}

function hex4(value: string): string {
  return BigInt(value).toString(16).padStart(4, "0");
}

/**
 * The prompt of a shell.
 *
 * @param current The name of the VM in use, if there is one
 */
export async function prompt(current: string | undefined): Promise<string> {
  return promptText(current === undefined ? undefined : await usedVm(current));
}

/** One that does not answer at once is shown without its place. */
async function usedVm(name: string): Promise<UsedVm> {
  const vm = new RunDirectory(name);
  if (!vm.live) return { name, state: "gone" };
  const state = readStatus(vm)?.state ?? "live";
  if (state !== "paused") return { name, state };
  return { name, state, place: await placeOf(vm) };
}

async function placeOf(vm: RunDirectory): Promise<string | undefined> {
  const params = { cpu: 0, names: ["cs", "rip", "cr0"] };
  try {
    const found = await withinTime(
      ANSWER_MS,
      async (signal) =>
        await call(vm.control, "inspect.registers", params, signal) as {
          registers: PlaceRegisters;
        }[],
    );
    return found?.[0] === undefined ? undefined : placeText(found[0].registers);
  } catch {
    return undefined; // it has just ended, or does not say
  }
}
