/**
 * `deno task bench`: hvsh beside a small VMM in C, and beside QEMU and kvmtool where they are.
 *
 * Subjects of one bench are measured in turn, in one run, and medians are printed: absolute values
 * belong to the machine, ratios to the program.
 */
import type { Bench } from "./bench/bench.ts";
import { boot } from "./bench/boot.ts";
import { consoles } from "./bench/console_out.ts";
import { disks } from "./bench/disk.ts";
import { mmio, pio, pioSerial } from "./bench/exits.ts";
import { forks } from "./bench/forks.ts";
import { kick } from "./bench/kick.ts";
import { linuxDevices } from "./bench/linux_devices.ts";
import { mounted } from "./bench/mounted.ts";
import { taps } from "./bench/net_tap.ts";
import { userNetworks } from "./bench/net_user.ts";
import { type BenchResult, jsonLine, resultTable } from "./bench/result.ts";
import { start } from "./bench/start.ts";
import { startInProcess } from "./bench/start_in_process.ts";
import { streams } from "./bench/streams.ts";
import { Workbench } from "./bench/workbench.ts";

const BENCHES: readonly Bench[] = [
  pio,
  pioSerial,
  mmio,
  start,
  startInProcess,
  kick,
  forks,
  streams,
  mounted,
  ...disks,
  ...taps,
  ...userNetworks,
  ...consoles,
  linuxDevices,
  boot,
];
const NAMES = BENCHES.flatMap(({ names }) => Object.entries(names));

const USAGE = `Usage: deno task bench [--json] [NAME...]

Measures the benches named, or all of them.

${NAMES.map(([name, what]) => `  ${name.padEnd(25)}${what}`).join("\n")}

  --json  a line of JSON for each result, instead of a table
`;

const SIGNALS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const warn = (line: string): void => console.error(`bench: ${line}`);

/** @returns The exit status: 1 if a bench failed, 2 on wrong usage */
async function main(): Promise<number> {
  const flags = Deno.args.filter((word) => word.startsWith("-"));
  const wanted = Deno.args.filter((word) => !word.startsWith("-"));
  if (flags.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  const unknown = flags.find((flag) => flag !== "--json") ??
    wanted.find((name) => !NAMES.some(([known]) => known === name));
  if (unknown !== undefined) {
    warn(`unknown ${unknown.startsWith("-") ? "flag" : "bench"} ${unknown}\n${USAGE}`);
    return 2;
  }
  const isWanted = (name: string) => wanted.length === 0 || wanted.includes(name);

  let status = 0;
  const stop = new AbortController();
  for (const [signal, code] of Object.entries(SIGNALS)) {
    Deno.addSignalListener(signal as Deno.Signal, () => {
      status = code;
      stop.abort();
    });
  }
  await using bench = new Workbench(stop.signal, warn);
  const results: BenchResult[] = [];
  for (const { names, run } of BENCHES) {
    if (stop.signal.aborted || !Object.keys(names).some(isWanted)) continue;
    try {
      const all = await run(bench, warn, isWanted);
      const found = all.filter((result) => isWanted(result.bench));
      results.push(...found);
      if (flags.includes("--json")) found.forEach((result) => console.log(jsonLine(result)));
    } catch (error) {
      if (stop.signal.aborted) break;
      warn(`${Object.keys(names).join(" and ")} FAILED: ${(error as Error).message}`);
      status = 1;
    }
  }
  if (!flags.includes("--json") && results.length > 0) {
    await Deno.stdout.write(new TextEncoder().encode(resultTable(results)));
  }
  return status;
}

Deno.exit(await main());
