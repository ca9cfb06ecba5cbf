/**
 * ring_guest.c as firmware, which hvsh and QEMU start the same way.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { firmware } from "./guests.ts";

/** Where ring_start.S copies itself to, and where the C code is behind it. */
const START = 0x10_0000;
const TEXT = START + 0x4000;

/** For ring 3 of a machine that nobody has set up, where SSE would fault. */
const FLAGS = [
  ...["-m64", "-O2", "-ffreestanding", "-fno-pic", "-no-pie", "-nostdlib", "-static"],
  ...["-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fcf-protection=none"],
  ...["-mgeneral-regs-only", "-mno-red-zone"],
  ...["-Wl,--build-id=none,-N,-e,start,--oformat=binary"],
  `-Wl,--section-start=.start=0x${START.toString(16)},-Ttext=0x${TEXT.toString(16)}`,
];

/**
 * Builds it.
 *
 * @param compiler A C compiler
 * @param path A file for what it makes
 * @returns 64 KiB for `hvsh run --firmware` and `qemu -bios`
 * @throws {Error} If the compiler fails
 */
export async function ringFirmware(
  compiler: string,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const sources = ["ring_start.S", "ring_guest.c"]
    .map((name) => fileURLToPath(new URL(name, import.meta.url)));
  const { success, stderr } = await new Deno.Command(compiler, {
    args: [...FLAGS, "-o", path, ...sources],
  }).output();
  if (!success) {
    const said = new TextDecoder().decode(stderr).trim();
    throw new Error(`${compiler} cannot compile the benches' guest: ${said}`);
  }
  return firmware(await Deno.readFile(path));
}
