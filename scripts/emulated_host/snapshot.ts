/** The emulated host, started and at rest: a call goes on from it instead of booting. */
import { join } from "node:path";
import { findProgram } from "../setup/find_program.ts";
import { guestPath } from "../setup/guests.ts";
import { cached, fingerprint, keyOf } from "./cache.ts";
import { DISK_BYTES, makeDisk } from "./disk_image.ts";
import { Failure } from "./failure.ts";
import { hostPrograms, layOut } from "./host_programs.ts";
import { initrd } from "./initrd.ts";
import { lines } from "./lines.ts";
import { MACHINE, Machine } from "./machine.ts";

/** Raise it when the way a snapshot is built changes in a file that the key does not read. */
const RECIPE = 3;

/** Starting it takes 5-10 s; one that hangs must not hang its caller. */
const START_SECONDS = 180;

/** The files of a snapshot. */
export type Snapshot = { ram: string; state: string; hostDisk: string };

/**
 * Gives the snapshot for this QEMU, kernel and deno, building it the first time.
 *
 * @param memoryMiB the memory of the machine
 * @returns its files
 * @throws {Failure} if it cannot be built
 */
export async function snapshot(memoryMiB: number): Promise<Snapshot> {
  const programs = hostPrograms();
  const key = keyOf(
    RECIPE,
    MACHINE,
    memoryMiB,
    Deno.readTextFileSync(new URL("./init.sh", import.meta.url)),
    Deno.readTextFileSync(new URL("./initrd.ts", import.meta.url)),
    fingerprint(Deno.realPathSync(findProgram("qemu-system-x86_64") ?? "/")),
    fingerprint(guestPath("vmlinuz")),
    [...programs.values()].map(fingerprint),
  );
  const folder = await cached("snapshot", key, (path, work) => build(path, work, memoryMiB));
  return files(folder);
}

const files = (folder: string): Snapshot => ({
  ram: join(folder, "ram"),
  state: join(folder, "state"),
  hostDisk: join(folder, "host.ext4"),
});

async function build(path: string, work: string, memoryMiB: number): Promise<void> {
  if (Deno.stderr.isTerminal()) {
    console.error("emulated-host: building its snapshot, once, about 10 s");
  }
  const made = join(work, "snapshot");
  await Deno.mkdir(made);
  const { ram, state, hostDisk } = files(made);
  const { contents, links } = await layOut(hostPrograms());
  await makeDisk(hostDisk, contents, work);
  await Deno.writeFile(join(work, "initrd"), await initrd(links));
  for (const disk of ["material", "project", "instructions"]) {
    await Deno.writeFile(join(work, disk), new Uint8Array());
    await Deno.truncate(join(work, disk), DISK_BYTES);
  }
  await using machine = await Machine.start({
    folder: work,
    ram,
    shareRam: true,
    memoryMiB,
    disks: [
      { file: hostDisk, access: "read-only" },
      { file: "material", access: "read-only" },
      { file: "project", access: "throwaway" },
      { file: "instructions", access: "writable" },
    ],
    kernel: { image: guestPath("vmlinuz"), initrd: "initrd" },
  });
  const limit = setTimeout(() => machine.kill(), START_SECONDS * 1000);
  try {
    const { value } = await lines(machine.ports.control.readable).next();
    if (value !== "READY") throw new Failure("it said nothing");
    await machine.qmp.open();
    await machine.qmp.save(state);
  } catch (error) {
    const why = error instanceof Error ? error.message : error;
    throw new Failure(await machine.lastWords(`Cannot start the emulated host: ${why}`));
  } finally {
    clearTimeout(limit);
  }
  await Deno.rename(made, path);
}
