/** Fills the folder of guests from Debian's packages, none of which is installed. */
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { resolveKernel, run, SetupError, unpack } from "./apt.ts";
import { cacheDirectory, type GuestName, GUESTS, guestsDirectory, MADE } from "./guests.ts";

/** Raise it when what is made from the packages changes: older folders are then made again. */
const RECIPE = 3;

const KERNEL = "linux-image-cloud-amd64";

/** Where each guest is in the unpacked packages; the first path that exists is taken. */
const SOURCES: { guest: GuestName; package: string; paths: string[] }[] = [
  { guest: "busybox", package: "busybox-static", paths: ["bin/busybox", "usr/bin/busybox"] },
  {
    guest: "memtest86+x64.bin",
    package: "memtest86+",
    paths: ["boot/memtest86+x64.bin", "boot/mt86+x64"],
  },
  { guest: "ipxe.lkrn", package: "ipxe", paths: ["boot/ipxe.lkrn", "usr/lib/ipxe/ipxe.lkrn"] },
  { guest: "gnumach", package: "gnumach-image-1.8-486", paths: ["boot/gnumach-1.8-486.gz"] },
  { guest: "bios.bin", package: "seabios", paths: ["usr/share/seabios/bios.bin"] },
  { guest: "bios-256k.bin", package: "seabios", paths: ["usr/share/seabios/bios-256k.bin"] },
  { guest: "qboot.rom", package: "qemu-system-data", paths: ["usr/share/qemu/qboot.rom"] },
  {
    guest: "linuxboot_dma.bin",
    package: "qemu-system-data",
    paths: ["usr/share/qemu/linuxboot_dma.bin"],
  },
];

/** What the folder says about itself. */
type Manifest = { recipe: number; packages: Record<string, string> };

/**
 * Tells whether the guests that come in packages are all there and made by this recipe.
 *
 * @returns true if nothing needs to be fetched
 */
export function guestsAreReady(): boolean {
  try {
    const folder = guestsDirectory();
    const manifest = JSON.parse(Deno.readTextFileSync(join(folder, "manifest.json"))) as Manifest;
    for (const guest of GUESTS) if (!MADE.includes(guest)) Deno.statSync(join(folder, guest));
    return manifest.recipe === RECIPE;
  } catch {
    return false; // no folder, or one that is not whole: both are made again
  }
}

/**
 * Fetches the packages and puts the guests in place, all of them or, on an error, none.
 *
 * @throws {SetupError} if a package cannot be had or does not hold what it should
 */
export async function provideGuests(): Promise<void> {
  const cache = cacheDirectory();
  await Deno.mkdir(cache, { recursive: true });
  using lock = await Deno.open(join(cache, "guests.lock"), { create: true, write: true });
  await lock.lock(true);
  if (guestsAreReady()) return; // another setup did it while this one waited
  const work = await Deno.makeTempDir({ dir: cache, prefix: "guests.new." });
  try {
    const tree = join(work, "tree");
    const guests = join(work, "guests");
    await Deno.mkdir(tree);
    await Deno.mkdir(guests);
    const kernel = await resolveKernel(KERNEL);
    const packages = [kernel, ...new Set(SOURCES.map((source) => source.package))];
    const versions = await unpack(packages, tree);
    for (const source of SOURCES) await take(tree, source, guests);
    await takeKernel(tree, guests);
    const manifest: Manifest = { recipe: RECIPE, packages: versions };
    await Deno.writeTextFile(
      join(guests, "manifest.json"),
      JSON.stringify(manifest, null, 2) + "\n",
    );
    await Deno.chmod(guests, 0o755);
    await replaceFolder(guestsDirectory(), guests, work);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function take(tree: string, source: typeof SOURCES[number], guests: string): Promise<void> {
  for (const path of source.paths) {
    const file = join(tree, path);
    const data = await Deno.readFile(file).catch(() => undefined);
    if (data === undefined) continue;
    const { mode } = await Deno.stat(file);
    await Deno.writeFile(
      join(guests, source.guest),
      path.endsWith(".gz") ? gunzipSync(data) : data,
      { mode: mode ?? 0o644 },
    );
    return;
  }
  throw new SetupError(`The package ${source.package} holds none of ${source.paths.join(", ")}`);
}

/** The kernel's files carry its version in their names, which is only known here. */
async function takeKernel(tree: string, guests: string): Promise<void> {
  const boot = [...Deno.readDirSync(join(tree, "boot"))].map((entry) => entry.name);
  for (const name of ["vmlinuz", "config"] as const) {
    const file = boot.find((entry) => entry.startsWith(`${name}-`));
    if (file === undefined) throw new SetupError(`The kernel's package holds no boot/${name}-*`);
    await Deno.rename(join(tree, "boot", file), join(guests, name));
  }
  const under = ["lib/modules", "usr/lib/modules"].map((path) => join(tree, path));
  const versions = under.flatMap((path) => {
    try {
      return [...Deno.readDirSync(path)].map((entry) => join(path, entry.name));
    } catch {
      return []; // Debian's packages have one of the two, by their age
    }
  });
  const modules = versions[0];
  if (modules === undefined) throw new SetupError("The kernel's package holds no lib/modules");
  // Newer Debians compress them, which insmod and depmod of busybox need not know.
  await run("find", [modules, "-name", "*.ko.xz", "-exec", "xz", "--decompress", "{}", "+"]);
  // modprobe needs modules.dep, which a package's installation would have made.
  const prefix = modules.slice(0, modules.lastIndexOf("/lib/modules/"));
  await run(join(guests, "busybox"), ["depmod", "-b", prefix, basename(modules)]);
  await Deno.rename(modules, join(guests, "modules"));
}

async function replaceFolder(folder: string, by: string, work: string): Promise<void> {
  await Deno.rename(folder, join(work, "old")).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.rename(by, folder);
}
