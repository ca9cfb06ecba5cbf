/**
 * All that is there of a VM's console.
 *
 * @module
 */
import { outputBytes } from "./attach_console.ts";
import { follow, VmGoneError } from "./json_rpc.ts";
import type { RunDirectory } from "./run_directory.ts";

/**
 * Reads it.
 *
 * @param vm The VM; it may have ended
 * @param following Go on until its end
 * @param signal Aborts it
 * @returns The bytes
 */
export async function* consoleText(
  vm: RunDirectory,
  following: boolean,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const params = { log: true, follow: following };
  let begun = false;
  try {
    for await (
      const { method, params: output } of follow(vm.control, "console.attach", params, signal)
    ) {
      begun = true;
      if (method === "output") yield outputBytes(output);
    }
  } catch (error) {
    // One that has ended has left in its folder all that it said.
    if (begun || !(error instanceof VmGoneError)) throw error;
    yield* files(vm);
  }
}

function* files({ consoleLog }: RunDirectory): Generator<Uint8Array<ArrayBuffer>> {
  for (const path of [`${consoleLog}.old`, consoleLog]) {
    try {
      yield Deno.readFileSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
