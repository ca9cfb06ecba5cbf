import "../tests/c_library.ts";
import assert from "node:assert/strict";
import { peersAt } from "./peer_credentials.ts";

Deno.test("the users of all accepted clients are told, and of nobody else", async () => {
  const folder = Deno.makeTempDirSync();
  const path = `${folder}/socket`;
  {
    using listener = Deno.listen({ transport: "unix", path });
    using _other = Deno.listen({ transport: "unix", path: `${folder}/other` });
    assert.deepEqual(peersAt(path), []);
    using _first = await Deno.connect({ transport: "unix", path });
    using _a = await listener.accept();
    assert.deepEqual(peersAt(path), [Deno.uid()]);
    using _second = await Deno.connect({ transport: "unix", path });
    using _b = await listener.accept();
    assert.deepEqual(peersAt(path), [Deno.uid(), Deno.uid()]);
    assert.deepEqual(peersAt(`${folder}/other`), []);
  }
  Deno.removeSync(folder, { recursive: true });
});
