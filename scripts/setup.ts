/**
 * `deno task setup`: fetches what the tests need and this machine lacks, once.
 *
 * Programs (QEMU and a few small tools) are installed with apt-get when this is root on Debian;
 * guests are unpacked from Debian's packages into the cache, without being installed. Whatever
 * cannot be had is named with the command that mends it, and the exit status is 1.
 */
import { install, installCommand, isRoot, SetupError } from "./setup/apt.ts";
import { findProgram } from "./setup/find_program.ts";
import { guestsDirectory } from "./setup/guests.ts";
import { guestsAreReady, provideGuests } from "./setup/provide_guests.ts";

/** Programs that the emulated host or the tests run, and Debian's package of each. */
const PROGRAMS = [
  { program: "qemu-system-x86_64", package: "qemu-system-x86" },
  { program: "mkfs.ext4", package: "e2fsprogs" },
  { program: "tar", package: "tar" },
  { program: "jq", package: "jq" },
  { program: "zstd", package: "zstd" },
  { program: "xz", package: "xz-utils" },
  { program: "zsh", package: "zsh" },
  { program: "fish", package: "fish" },
  { program: "python3", package: "python3-minimal" },
  { program: "cc", package: "gcc libc6-dev" },
];

const say = (line: string): void => console.error(`setup: ${line}`);

/** Installs the missing programs where this process may, and gives what stays missing. */
async function providePrograms(): Promise<string[]> {
  const lacking = () => PROGRAMS.filter(({ program }) => findProgram(program) === undefined);
  const packages = lacking().flatMap((row) => row.package.split(" "));
  if (packages.length === 0) return [];
  const programs = lacking().map((row) => row.program).join(", ");
  if (findProgram("apt-get") === undefined) {
    return [`${programs} not found; install them with this system's package manager`];
  }
  if (!isRoot()) return [`${programs} not found; run: ${installCommand(packages)}`];
  say(`installing ${packages.join(" ")}`);
  try {
    await install(packages);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return [`${error.message}\nrun by hand: ${installCommand(packages)}`];
  }
  return lacking().map(({ program }) => `${program} not found after its package was installed`);
}

/** Fetches the guests unless they are there, and gives why if it cannot. */
async function provideMissingGuests(): Promise<string[]> {
  if (guestsAreReady()) return [];
  if (findProgram("apt-get") === undefined || findProgram("dpkg-deb") === undefined) {
    return [
      "the guests come from Debian's packages, and this system has no apt-get; " +
      `copy ${guestsDirectory()} from a Debian machine where \`deno task setup\` ran`,
    ];
  }
  say(`fetching guests into ${guestsDirectory()}`);
  try {
    await provideGuests();
    return [];
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return [
      `${error.message}\n(the guests come from Debian's packages` +
      (isRoot() ? ")" : "; if apt has no package lists: sudo apt-get update)"),
    ];
  }
}

if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
  say(`the emulated host and its guests are for Linux on x86_64, this is ${Deno.build.target}`);
  Deno.exit(1);
}
const missing = [...await providePrograms(), ...await provideMissingGuests()];
for (const line of missing) say(line);
if (findProgram("cc") === undefined && findProgram("gcc") === undefined) {
  say("no C compiler: tests against the C headers and benchmarks leave it out; package gcc");
}
if (missing.length === 0) say(`all here; guests in ${guestsDirectory()}`);
Deno.exit(missing.length === 0 ? 0 : 1);
