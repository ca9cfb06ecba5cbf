/** Makes the guests' first file systems from what setup has unpacked, and the program in them. */
import { fileURLToPath } from "node:url";
import { run, SetupError } from "./apt.ts";
import { deviceInitramfs } from "./device_initramfs.ts";
import { findProgram } from "./find_program.ts";
import { type GuestName, guestPath, guestsDirectory } from "./guests.ts";
import { initramfs } from "./initramfs.ts";

const PROBE = fileURLToPath(new URL("../guest/probe.c", import.meta.url));

/**
 * Makes them, which takes less than a second; a file that would stay the same is left alone.
 *
 * @throws {SetupError} if the program does not compile: then it is not in them, all else is
 */
export async function makeFirstFileSystems(): Promise<void> {
  const busybox = guestPath("busybox");
  const applets = (await run(busybox, ["--list"])).split("\n")
    .filter((name) => name !== "" && name !== "busybox" && name !== "sh");
  let failure: SetupError | undefined;
  const probe = await compile().catch((error) => {
    if (!(error instanceof SetupError)) throw error;
    failure = error;
    return undefined;
  });
  await keep("initramfs.cpio", initramfs(await Deno.readFile(busybox)));
  if (probe !== undefined) await keep("probe", probe, 0o755);
  await keep("devices.cpio", await deviceInitramfs(guestPath("modules"), applets, probe));
  if (failure !== undefined) throw failure;
}

/** Static, so that it runs in a guest that has nothing else. */
async function compile(): Promise<Uint8Array> {
  const compiler = findProgram("cc") ?? findProgram("gcc") ?? findProgram("clang");
  if (compiler === undefined) {
    throw new SetupError(
      "no C compiler (cc, gcc, clang): tests of vsock and of flushed writes, and benchmarks from " +
        "inside a Linux guest, are left out",
    );
  }
  const work = await Deno.makeTempDir({ prefix: "hvsh-setup-" });
  try {
    const program = `${work}/probe`;
    await run(compiler, ["-O2", "-Wall", "-Wextra", "-static", "-s", "-o", program, PROBE]);
    return await Deno.readFile(program);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function keep(name: GuestName, data: Uint8Array, mode = 0o644): Promise<void> {
  const path = guestPath(name);
  const old = await Deno.readFile(path).catch(() => undefined);
  if (old !== undefined && old.length === data.length && old.every((byte, n) => byte === data[n])) {
    return;
  }
  const made = await Deno.makeTempFile({ dir: guestsDirectory(), prefix: `${name}.` });
  await Deno.writeFile(made, data);
  await Deno.chmod(made, mode);
  await Deno.rename(made, path);
}
