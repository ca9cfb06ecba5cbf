import { deepEqual, equal, rejects } from "node:assert/strict";
import { readImage, readImages, readInitrd } from "./read_image.ts";
import { patterned } from "../../tests/sample_images.ts";

const GIB = 2 ** 30;

async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "hvsh-test-" });
  try {
    await work(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A file of a size, and of no bytes on the disk. */
function sparse(path: string, size: number): string {
  Deno.writeFileSync(path, new Uint8Array());
  Deno.truncateSync(path, size);
  return path;
}

Deno.test("an image is its file's bytes", async () => {
  await inFolder(async (folder) => {
    const path = `${folder}/x.bin`;
    for (const length of [0, 1, 100_000]) {
      Deno.writeFileSync(path, patterned(length));
      deepEqual(await readImage(path), { path, bytes: patterned(length) });
    }
  });
});

Deno.test("what is no plain file is refused, and never waited for", async () => {
  await inFolder(async (folder) => {
    const fifo = `${folder}/fifo`;
    await new Deno.Command("mkfifo", { args: [fifo] }).output();
    const loop = `${folder}/loop`;
    Deno.symlinkSync(loop, loop);
    using _socket = Deno.listen({ transport: "unix", path: `${folder}/socket` });
    for (const path of [fifo, folder, "/dev/zero", "/dev/full", `${folder}/socket`]) {
      await rejects(readImage(path), { name: "ImageError", message: /: it is not a plain file$/ });
    }
    await rejects(readImage(`${folder}/none`), /\/none: there is no such file$/);
    await rejects(readImage(loop), { name: "ImageError", message: /\/loop: .*os error 40/ });
  });
});

Deno.test("a file of /proc, which has no size and perhaps no end, is an empty image", async () => {
  for (const path of ["/proc/self/mem", "/proc/self/pagemap"]) {
    equal((await readImage(path)).bytes.length, 0);
  }
});

Deno.test("a file larger than any image is refused before it is read", async () => {
  await inFolder(async (folder) => {
    for (const size of [3 * GIB, 2 ** 40]) {
      await rejects(readImage(sparse(`${folder}/huge`, size)), {
        name: "ImageError",
        message: `${folder}/huge: it has ${size} bytes; all images together may have 2G`,
      });
    }
  });
});

Deno.test("many files that are large together are refused too", async () => {
  await inFolder(async (folder) => {
    const small = sparse(`${folder}/small`, 2 ** 20);
    const large = sparse(`${folder}/large`, 2 * GIB - 2 ** 20);
    equal((await readImages([small, small])).length, 2);
    const names = [small, small, large];
    for (const read of [readImages, readInitrd]) {
      await rejects(
        read(names),
        /\/large: it has 2146435072 bytes; all images together may have 2G/,
      );
    }
  });
});

Deno.test("initial RAM disks are joined on 4-byte boundaries", async () => {
  await inFolder(async (folder) => {
    const [a, b] = [`${folder}/a`, `${folder}/b`];
    Deno.writeFileSync(a, Uint8Array.of(1, 2, 3, 4, 5));
    Deno.writeFileSync(b, Uint8Array.of(6));
    const joined = await readInitrd([a, b]);
    deepEqual(joined, {
      path: `${a} + ${b}`,
      bytes: Uint8Array.of(1, 2, 3, 4, 5, 0, 0, 0, 6, 0, 0, 0),
    });
    equal(await readInitrd([]), undefined);
  });
});
