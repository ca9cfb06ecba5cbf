/**
 * `deno task setup`: fetches what the tests need and this machine lacks, once.
 *
 * Programs (QEMU and a few small tools) are installed with apt-get when this is root on Debian;
 * guests are unpacked from Debian's packages into the cache, without being installed. Whatever
 * cannot be had is named with what is left out without it and the command that mends it, and the
 * exit status is 1.
 */
import { install, installCommand, isRoot, SetupError } from "./setup/apt.ts";
import { findProgram, isInstalled } from "./setup/find_program.ts";
import { guestsDirectory } from "./setup/guests.ts";
import { makeFirstFileSystems } from "./setup/first_file_systems.ts";
import { guestsAreReady, provideGuests } from "./setup/provide_guests.ts";

/** Something that the emulated host or the tests use, and Debian's package of it. */
type Need = {
  /** A program, or the name by which a library is loaded. */
  name: string;
  package: string;
  /** What is left out without it, of something that the rest does without. */
  optional?: string;
};

const NEEDS: readonly Need[] = [
  { name: "qemu-system-x86_64", package: "qemu-system-x86" },
  { name: "mkfs.ext4", package: "e2fsprogs" },
  { name: "tar", package: "tar" },
  { name: "jq", package: "jq" },
  { name: "zstd", package: "zstd" },
  { name: "xxd", package: "xxd" },
  { name: "git", package: "git" },
  { name: "xz", package: "xz-utils" },
  { name: "zsh", package: "zsh" },
  { name: "fish", package: "fish" },
  { name: "groff", package: "groff-base" },
  { name: "python3", package: "python3-minimal" },
  { name: "cc", package: "gcc libc6-dev" },
  { name: "gdb", package: "gdb", optional: "tests of GDB and of cores" },
  { name: "ip", package: "iproute2", optional: "tests of tap" },
  { name: "passt", package: "passt", optional: "tests of user networking by passt" },
  { name: "libslirp.so.0", package: "libslirp0", optional: "tests of user networking by libslirp" },
  { name: "qemu-nbd", package: "qemu-utils", optional: "tests of disks from qemu-nbd" },
  { name: "nbdkit", package: "nbdkit", optional: "tests of disks from nbdkit" },
  { name: "fio", package: "fio", optional: "the host's own figures in benchmarks of disks" },
];

const say = (line: string): void => console.error(`setup: ${line}`);

/** Installs what is missing where this process may, and gives what stays missing. */
async function provideNeeds(): Promise<string[]> {
  const lacking = NEEDS.filter((need) => !isInstalled(need.name));
  if (lacking.length === 0) return [];
  if (findProgram("apt-get") === undefined) {
    return lacking.map((need) => `${notFound(need)}; install it with the system's package manager`);
  }
  const packagesOf = (needs: Need[]) => needs.flatMap((need) => need.package.split(" "));
  const byHand = installCommand(packagesOf(lacking));
  if (!isRoot()) return [...lacking.map(notFound), `run: ${byHand}`];
  const failures: string[] = [];
  // Older Debians lack some of the optional ones: each comes by itself, and stops no other.
  const required = lacking.filter((need) => need.optional === undefined);
  const optional = lacking.filter((need) => need.optional !== undefined);
  for (const needs of [required, ...optional.map((need) => [need])]) {
    const packages = packagesOf(needs);
    if (packages.length === 0) continue;
    say(`installing ${packages.join(" ")}`);
    try {
      await install(packages);
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length > 0) failures.push(`run by hand: ${byHand}`);
  return [...failures, ...lacking.filter((need) => !isInstalled(need.name)).map(notFound)];
}

const notFound = ({ name, optional }: Need): string =>
  `${name} not found` + (optional === undefined ? "" : `: ${optional} are left out`);

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

/** Makes the guests' first file systems anew, and gives what they lack. */
async function provideFirstFileSystems(): Promise<string[]> {
  if (!guestsAreReady()) return []; // why, was said
  try {
    await makeFirstFileSystems();
    return [];
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return [error.message];
  }
}

if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
  say(`the emulated host and its guests are for Linux on x86_64, this is ${Deno.build.target}`);
  Deno.exit(1);
}
const missing = [
  ...await provideNeeds(),
  ...await provideMissingGuests(),
  ...await provideFirstFileSystems(),
];
for (const line of missing) say(line);
if (missing.length === 0) say(`all here; guests in ${guestsDirectory()}`);
Deno.exit(missing.length === 0 ? 0 : 1);
