import { equal, match, rejects } from "node:assert/strict";
import { ImageError } from "../../ffi/errors.ts";
import { loadLinux } from "./linux.ts";
import { loadMultiboot } from "./multiboot.ts";
import { BOMBS } from "../../tests/sample_bombs.ts";
import { joined, ramOf, sampleBzImage } from "../../tests/sample_images.ts";

const MIB = 2 ** 20;
/** Far below what comes out of any bomb but the smallest, far above what a decoder needs. */
const MOST_GROWTH = 48 * MIB;

/** A kernel whose payload says that it expands to a size. */
function kernelOf(payload: Uint8Array, says: number) {
  const packed = joined(payload, new Uint8Array(Uint32Array.of(says).buffer));
  const fields = { payload_offset: 0, payload_length: packed.length };
  return { path: "vmlinuz", bytes: sampleBzImage(packed, fields) };
}

async function refusal(payload: Uint8Array, says: number): Promise<ImageError> {
  try {
    await loadLinux(ramOf(2 * MIB), kernelOf(payload, says));
  } catch (error) {
    if (error instanceof ImageError) return error;
    throw error;
  }
  throw new Error("It was loaded");
}

/** The most memory that this process has had since {@linkcode forgetPeak}. */
function peak(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]) * 1024;
}

function forgetPeak(): void {
  Deno.writeTextFileSync("/proc/self/clear_refs", "5");
}

for (const [format, bomb] of Object.entries(BOMBS)) {
  Deno.test(`${format}: a kernel that expands for ever stops at what it said, or at the guest's memory`, async () => {
    const payload = bomb();
    await refusal(payload, MIB); // what decoders load once is not the bomb's
    forgetPeak();
    const before = peak();
    for (const says of [100, MIB, 2 * MIB]) {
      const { message } = await refusal(payload, says);
      match(message, /^vmlinuz: payload at byte 0x600/);
      match(message, /more than the \d+ bytes allowed/);
    }
    for (const says of [0x3fff_ffff, 0xffff_ffff]) {
      match((await refusal(payload, says)).message, /needs memory|more than|memory ends/);
    }
    const growth = peak() - before;
    equal(growth < MOST_GROWTH, true, `It took ${Math.round(growth / MIB)} MiB`);
  });
}

Deno.test("a multiboot kernel in gzip stops at the guest's memory", async () => {
  const image = { path: "mach.gz", bytes: BOMBS.gzip!() };
  await rejects(loadMultiboot(ramOf(2 * MIB), image), {
    name: "ImageError",
    message: /^mach\.gz.*more than/,
  });
});
