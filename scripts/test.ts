/**
 * `deno task test`: sets up what the tests need, runs every suite, says loudly what was left out, and
 * ends with one line that counts: `N passed, N failed, N skipped`.
 *
 * With HVSH_REQUIRE_KVM=1 whatever is left out is a failure.
 *
 * @module
 */
import { basename } from "node:path";
import { findProgram } from "./setup/find_program.ts";
import { hasGuest } from "./setup/guests.ts";
import { countJunit, type Counts, failedTests, formatCounts, NOTHING, sum } from "./test_counts.ts";

const ROOT = new URL("..", import.meta.url);
const REQUIRED = Deno.env.get("HVSH_REQUIRE_KVM") === "1";
/** A suite that hangs must not take CI's whole time. */
const MINUTE = 60_000;
/** What scripts/emulated-host ends with when the machine failed, and not the command in it. */
const MACHINE_FAILED = 125;

/** A part of the tests. */
interface Suite {
  readonly name: string;
  /** Why it cannot run here; undefined if it can. */
  readonly missing?: () => string | undefined;
  readonly run: () => Promise<Counts>;
}

/** Where the runners' reports go; made by {@linkcode main}, since `deno test` loads this file too. */
let reports = "";
/** What failed, for a person: a line each. */
const failures: string[] = [];

const SUITES: readonly Suite[] = [
  { name: "formatting", run: () => check(["fmt", "--check", "--quiet"]) },
  { name: "lint", run: () => check(["lint", "--quiet"]) },
  { name: "types", run: () => check(["check", "--quiet", "."]) },
  {
    name: "unit tests",
    run: () => denoTest("unit", ["ffi", "vmm", "commands", "scripts", ...topLevelTests()]),
  },
  {
    name: "examples in the documentation",
    run: () => denoTest("doc", ["--doc", "mod.ts", ...["ffi", "vmm", "commands"].flatMap(modules)]),
  },
  {
    name: "guests on this host's /dev/kvm",
    missing: kvmMissing,
    run: () => denoTest("kvm", ["tests/kvm"]),
  },
  {
    name: "the emulated host",
    missing: emulatorMissing,
    run: () => denoTest("emulated", ["tests/emulated"]),
  },
  {
    name: "small guests, and Linux and other stock guests, in two emulated hosts, on kvm_amd",
    missing: emulatorMissing,
    run: async () => {
      // Each uses one core. What the second says comes whole, behind the first.
      const stock = emulatedTests("tests/linux", "piped");
      const small = await emulatedTests("tests/kvm", "inherit");
      const { text, counts } = await stock;
      console.log(text);
      return sum(small.counts, counts);
    },
  },
];

/** A check that is passed or failed as a whole. */
async function check(args: string[]): Promise<Counts> {
  if (await run(Deno.execPath(), args, 5 * MINUTE) === 0) return { ...NOTHING, passed: 1 };
  failures.push(`deno ${args.join(" ")}`);
  return { ...NOTHING, failed: 1 };
}

/** A run of `deno test`; types have been checked before. */
async function denoTest(name: string, args: string[]): Promise<Counts> {
  const report = `${reports}/${name}.xml`;
  const test = ["test", "-A", "--no-check", "--quiet", `--junit-path=${report}`, ...args];
  // The C library's symbols stay open for ever, which is a leak to Deno; tests open them ahead, but
  // an example for the reader should not.
  if (name !== "doc") test.push("--sanitize-resources");
  return counted(await run(Deno.execPath(), test, 15 * MINUTE), report);
}

/** Tests of what the host's side does, with bad input above all: they ask nothing of KVM that differs. */
const HOST_SIDE = `
  abandoned_calls control core debug_verbs example_scripts fork_verbs gdb hostile_backend
  hostile_device hostile_document hostile_host hostile_hot_plug hostile_image hostile_lazy
  hostile_number inspect_memory lazy_verbs live_output many_vms migrate mount mount_held
  mount_streams peer sessions shell_screen shell_vms snapshot snapshot_diff snapshot_disks
  snapshot_edit snapshot_faults snapshot_signal watch_verbs
`.trim().split(/\s+/).map((name) => `tests/kvm/${name}_test.ts`);

/** A folder's tests where kvm_amd is real; what they say, unless it is passed on. */
async function emulatedTests(
  folder: string,
  output: "inherit" | "piped",
): Promise<{ counts: Counts; text: string }> {
  // Each hvsh process takes a second in there; what has just run out here need not run again.
  const ignored = kvmMissing() === undefined ? [`--ignore=${HOST_SIDE.join(",")}`] : [];
  const out = `${reports}/${basename(folder)}`;
  const report = `${out}/report.xml`;
  const said: string[] = [];
  const attempt = async () => {
    const { code, text } = await runWith(output, "scripts/emulated-host", [
      "--timeout=1500",
      `--out=${out}`,
      "deno",
      "test",
      "-A",
      "--no-check",
      "--quiet",
      "--sanitize-resources",
      `--junit-path=${report}`,
      ...ignored,
      folder,
    ], 30 * MINUTE);
    said.push(text);
    return code;
  };
  let status = await attempt();
  if (status === MACHINE_FAILED) {
    console.log(
      `\n!! THE EMULATED MACHINE ITSELF DIED, not a test in it: ${folder} runs once more`,
    );
    status = await attempt();
  }
  return { counts: counted(status, report), text: said.join("") };
}

/** What a report says; a runner that failed with no failed test in it counts as one more. */
function counted(status: number, report: string): Counts {
  let counts = NOTHING;
  try {
    const xml = Deno.readTextFileSync(report);
    counts = countJunit(xml);
    for (const { file, name, reason } of failedTests(xml)) {
      failures.push(`${file}: ${name}: ${reason}`);
    }
  } catch (error) {
    console.error(`No report from the runner: ${(error as Error).message}`);
  }
  const silent = status !== 0 && counts.failed === 0;
  const empty = counts.passed + counts.failed + counts.skipped === 0;
  if (!silent && !empty) return counts;
  failures.push(
    `a runner ended with status ${status}, and its report ${report} has no failed test`,
  );
  return sum(counts, { ...NOTHING, failed: 1 });
}

/** Runs a command in the project, its output going where ours goes. */
async function run(command: string, args: string[], limit: number): Promise<number> {
  return (await runWith("inherit", command, args, limit)).code;
}

/** Runs a command in the project; gives what it says on both streams, unless that goes where ours goes. */
async function runWith(
  output: "inherit" | "piped",
  command: string,
  args: string[],
  limit: number,
): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(command, {
    args,
    cwd: ROOT,
    env: { HVSH_DENO: Deno.execPath(), NO_COLOR: "1" },
    stdin: "null",
    stdout: output,
    stderr: output,
  }).spawn();
  const timer = setTimeout(() => {
    console.error(`\n${command} ${args[0]}: ended after ${limit / MINUTE} minutes`);
    child.kill("SIGTERM");
  }, limit);
  const texts = output === "inherit"
    ? []
    : await Promise.all([child.stdout, child.stderr].map((stream) => new Response(stream).text()));
  const { code } = await child.status;
  clearTimeout(timer);
  return { code, text: texts.join("") };
}

/** The tests in `tests/` itself: those of more than one module that need no guest. */
function topLevelTests(): string[] {
  return [...Deno.readDirSync(new URL("tests/", ROOT))]
    .filter(({ name }) => name.endsWith("_test.ts"))
    .map(({ name }) => `tests/${name}`);
}

/** The modules of a folder: `deno test --doc` looks into folders for Markdown only. */
function modules(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`${folder}/`, ROOT))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return modules(path);
    return name.endsWith(".ts") && !name.endsWith("_test.ts") ? [path] : [];
  });
}

function kvmMissing(): string | undefined {
  try {
    Deno.openSync("/dev/kvm", { read: true, write: true }).close();
    return undefined;
  } catch (error) {
    return `/dev/kvm does not open (${(error as Error).message}); scripts/hvsh doctor says more`;
  }
}

function emulatorMissing(): string | undefined {
  if (findProgram("qemu-system-x86_64") === undefined) return "there is no qemu-system-x86_64";
  return hasGuest("vmlinuz") ? undefined : "there is no guest kernel; deno task setup says why";
}

/** Runs all suites. */
async function main(): Promise<number> {
  reports = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  const status = await runSuites();
  if (failures.length === 0) Deno.removeSync(reports, { recursive: true });
  return status;
}

async function runSuites(): Promise<number> {
  const setUp = await run(Deno.execPath(), ["task", "--quiet", "setup"], 15 * MINUTE);
  const leftOut: string[] = [];
  if (setUp !== 0) leftOut.push("deno task setup could not provide everything (see above)");
  let total = NOTHING;
  for (const { name, missing, run } of SUITES) {
    const reason = missing?.();
    if (reason !== undefined) {
      leftOut.push(`${name}: ${reason}`);
      total = sum(total, REQUIRED ? { ...NOTHING, failed: 1 } : { ...NOTHING, skipped: 1 });
      continue;
    }
    console.log(`\n== ${name}`);
    const begin = performance.now();
    const counts = await run();
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    console.log(`== ${name}: ${formatCounts(counts)} (${seconds} s)`);
    total = sum(total, counts);
  }
  for (const reason of leftOut) console.log(`\n!! LEFT OUT: ${reason}`);
  for (const failure of failures) console.log(`\n!! FAILED: ${failure}`);
  if (failures.length > 0) console.log(`\nThe runners' reports are kept in ${reports}`);
  console.log(`\n${formatCounts(total)}`);
  return total.failed === 0 && !(REQUIRED && leftOut.length > 0) ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
