import { deepEqual, equal, rejects } from "node:assert/strict";
import { inlineStdin, readStream } from "./stdin_image.ts";

Deno.test("a stream is read to its end, whatever its pieces", async () => {
  const stream = async function* () {
    for (const piece of [[], [1], [2, 3], [], [4]]) yield Uint8Array.from(piece);
  };
  deepEqual(await readStream(stream()), Uint8Array.of(1, 2, 3, 4));
});

Deno.test("a stream without an end is refused after 64 MiB", async () => {
  let given = 0;
  const endless = async function* () {
    for (const piece = new Uint8Array(2 ** 20);;) {
      given += piece.length;
      yield piece;
    }
  };
  await rejects(readStream(endless()), {
    name: "ImageError",
    message: "The image on stdin is larger than 64M",
    hint: "write it to a file, and name that",
  });
  equal(given, 65 * 2 ** 20);
});

Deno.test("stdin takes the place of one - and of nothing else", async () => {
  const read = () => Promise.resolve(Uint8Array.of(0xf4));
  deepEqual(await inlineStdin(["a", "-@0x1000", "./-"], read), [
    "a",
    "data:;base64,9A==@0x1000",
    "./-",
  ]);
  await rejects(inlineStdin(["-", "-@0x1000"], read), /Two images cannot both be stdin/);
});
