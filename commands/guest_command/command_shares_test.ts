import assert from "node:assert/strict";
import type { VmDocument } from "../../vmm/document.ts";
import { commandShares } from "./command_shares.ts";

const share = (path: string, more: Record<string, unknown> = {}) => ({
  ...{ type: "share", path, ...more },
});
const document = (...devices: VmDocument["devices"] & object): VmDocument => ({ vm: 1, devices });

Deno.test("the host's files are the root, read-only, and nothing else is shared unasked", () => {
  const { root, shares, added } = commandShares(document(), "/usr");
  assert.deepEqual(root, { tag: "hostfs", path: "/", readonly: true });
  assert.deepEqual(shares, []);
  assert.deepEqual(added, [{ type: "share", name: "hostfs", path: "/" }]);
});

Deno.test("a share of / is the root, as it was asked for", () => {
  const own = share("/", { name: "all", tag: "everything", readonly: false });
  const { root, shares, added } = commandShares(document(own), "/usr");
  assert.deepEqual(root, { tag: "everything", path: "/", readonly: false });
  assert.deepEqual([shares, added], [[], []]);
});

Deno.test("shares are mounted at their own paths, inner ones after outer ones", () => {
  const { shares } = commandShares(
    document(
      share("/usr/lib", { name: "share1", readonly: false }),
      share("/usr", { name: "share0" }),
    ),
    "/usr",
  );
  assert.deepEqual(shares, [
    { tag: "share0", path: Deno.realPathSync("/usr"), readonly: true },
    { tag: "share1", path: Deno.realPathSync("/usr/lib"), readonly: false },
  ]);
});

Deno.test("a folder that the guest's own would hide is shared, unless it is already", async () => {
  const folder = await Deno.realPath(
    await Deno.makeTempDir({ dir: "/tmp", prefix: "hvsh-share-" }),
  );
  try {
    const alone = commandShares(document(share("/usr", { name: "folder" })), folder);
    assert.deepEqual(alone.added.map(({ name, path }) => [name, path]), [
      ["hostfs", "/"],
      ["share0", folder],
    ]);
    const given = commandShares(document(share(folder, { name: "share0" })), `${folder}/below`);
    assert.deepEqual(given.added.map(({ name }) => name), ["hostfs"]);
    await Deno.mkdir(`${folder}/below`);
    const inner = commandShares(document(share(`${folder}/below`, { name: "share0" })), folder);
    assert.deepEqual(inner.shares.map(({ path }) => path), [folder, `${folder}/below`]);
    await Deno.remove(`${folder}/below`);
  } finally {
    await Deno.remove(folder);
  }
});
