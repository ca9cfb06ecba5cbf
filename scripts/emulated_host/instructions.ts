/** The disk that tells init what to do, and takes what goes back. */
import { dirname, join } from "node:path";
import { run } from "../setup/apt.ts";
import { cacheDirectory, guestsDirectory } from "../setup/guests.ts";
import { fingerprint } from "./cache.ts";
import type { Call } from "./call.ts";
import { DISK_BYTES } from "./disk_image.ts";
import { Failure } from "./failure.ts";
import { PROJECT_MOUNT } from "./project_disk.ts";
import { quote } from "./shell_word.ts";

/** The script is at the start of the disk, the tar of what `--in` brings behind it. */
const BLOCK = 65536;

/** The variables that are passed on. */
const PASSED = /^(HVSH_.*|NO_COLOR)$/;

/**
 * Writes the disk.
 *
 * @param disk the file to make
 * @param project the project's folder
 * @param call what was asked
 * @param cwd the folder that the command runs in
 * @throws {Failure} if something to bring is not there or too large
 */
export async function writeInstructions(
  disk: string,
  project: string,
  call: Call,
  cwd: string,
): Promise<void> {
  for (const path of call.in) {
    if (fingerprint(path) === null) throw new Failure(`Cannot bring --in ${path}: there is none`);
  }
  const tar = `${disk}.tar`;
  if (call.in.length > 0) {
    const members = call.in.map((path) => path.slice(1));
    await run("tar", [
      "--create",
      "--format=gnu",
      "--file",
      tar,
      "--directory",
      "/",
      "--",
      ...members,
    ]);
  }
  const tarBytes = call.in.length > 0 ? (await Deno.stat(tar)).size : 0;
  const script = new TextEncoder().encode(
    instructions(project, call, cwd, Math.ceil(tarBytes / BLOCK)),
  );
  if (script.length > BLOCK) {
    throw new Failure("The command and its variables are longer than 64 KiB");
  }
  if (BLOCK + tarBytes > DISK_BYTES) throw new Failure("What --in brings is larger than 4 GiB");
  await Deno.writeFile(disk, script);
  if (tarBytes > 0) {
    await Deno.truncate(disk, BLOCK);
    using source = await Deno.open(tar);
    await Deno.writeFile(disk, source.readable, { append: true });
  }
  await Deno.truncate(disk, DISK_BYTES);
}

function instructions(project: string, call: Call, cwd: string, tarBlocks: number): string {
  const passed = Object.entries(Deno.env.toObject()).filter(([name]) => PASSED.test(name));
  const variables = {
    ...Object.fromEntries(passed),
    HVSH_EMULATED_HOST: "1",
    HVSH_DENO: "/opt/host/bin/deno",
    DENO_DIR: join(PROJECT_MOUNT, "deno"),
    DENO_NO_UPDATE_CHECK: "1",
    XDG_CACHE_HOME: dirname(cacheDirectory()),
    XDG_RUNTIME_DIR: "/run/user/0",
  };
  const folders = [project, cacheDirectory()].map(quote).join(" ");
  const out = call.out.map(quote).join(" ");
  return [
    // All at once: each of these mostly waits.
    `date -s @${Math.floor(Date.now() / 1000)} > /dev/null &`,
    "mount -t ext4 -o ro /dev/vdb /opt/material &",
    `mkdir -p ${folders} &`,
    `mount -t ext4 /dev/vdc ${PROJECT_MOUNT}`,
    "wait",
    `ln -s /opt/material/guests ${quote(guestsDirectory())} &`,
    `mount -o bind ${PROJECT_MOUNT}/project ${quote(project)}`,
    "wait",
    ...(tarBlocks > 0
      ? [`dd if=/dev/vdd bs=${BLOCK} skip=1 count=${tarBlocks} 2> /dev/null | tar xf - -C /`]
      : []),
    ...(out === "" ? [] : [`rm -rf ${out}; mkdir -p ${out}`]),
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
    // A folder that git does not know, for it is empty or ignored, is not on the disk.
    ...(cwd === project ? [] : [`mkdir -p ${quote(cwd)}`]),
    `cd ${quote(cwd)} || exit 125`,
    `exec ${call.command.map(quote).join(" ")}`,
    "",
  ].join("\n");
}

/**
 * The command line with which init packs what goes back.
 *
 * @param folders their paths
 * @returns one line
 */
export function packLine(folders: string[]): string {
  return `tar cf /dev/vdd -C / -- ${folders.map((path) => quote(path.slice(1))).join(" ")}\n`;
}
