/** The entry of `scripts/emulated-host`: the command line in, the exit status out. */
import { fileURLToPath } from "node:url";
import { SetupError } from "../setup/apt.ts";
import { parseCall, USAGE } from "./call.ts";
import { Failure } from "./failure.ts";
import { runInside } from "./inside.ts";

/** Number of each signal that ends a call, for the exit status 128 + n. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** A signal came, or the reader of stdout or stderr went. */
class Interrupted extends Error {
  constructor(readonly exitStatus: number) {
    super();
  }
}

async function main(): Promise<number> {
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  interrupted.catch(() => {}); // whoever races it hears of it
  for (const [signal, number] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(signal as Deno.Signal, () => reject(new Interrupted(128 + number)));
  }
  const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const cwd = Deno.cwd();
  try {
    const call = parseCall(Deno.args, cwd);
    if (call === "help") {
      console.log(USAGE);
      return 0;
    }
    const below = cwd === project || cwd.startsWith(`${project}/`);
    return await runInside(project, call, below ? cwd : project, interrupted);
  } catch (error) {
    if (error instanceof Interrupted) return error.exitStatus;
    if (error instanceof Deno.errors.BrokenPipe) return 128 + 13; // as SIGPIPE would have it
    if (!(error instanceof Failure || error instanceof SetupError)) throw error;
    console.error(`emulated-host: ${error.message}`);
    return error instanceof Failure ? error.exitStatus : 125;
  }
}

Deno.exit(await main());
