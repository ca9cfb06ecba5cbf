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
  if (!vm.live) {
    yield* files(vm);
    return;
  }
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
    // It may have ended between the look and the call; then all that it said is in its folder.
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
