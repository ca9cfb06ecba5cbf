import assert from "node:assert/strict";
import { copyOf, ownIdentity } from "./fork.ts";

const ORIGINAL = {
  vm: 1,
  name: "gold",
  extra: "kept",
  devices: [
    { type: "net", name: "net0", backend: "tap", mac: "52:54:00:01:02:03" },
    { type: "vsock", name: "vsock0", cid: 3, path: "/run/gold.sock" },
    { type: "disk", name: "disk0", path: "/root.img", cache: "none" },
    { type: "disk", name: "disk1", path: "/data.img", readonly: true, cache: "none" },
    { type: "rng", name: "rng0" },
  ],
} as const;

const original = () => structuredClone(ORIGINAL) as unknown as Parameters<typeof copyOf>[0];

Deno.test("a copy's document has what must be its own, and the rest as it is", () => {
  const copy = copyOf(original(), { name: "kid" });
  const [net, vsock, written, read, rng] = copy.devices!;
  assert.deepEqual([copy.name, copy.extra], ["kid", "kept"]);
  assert.match(net!.mac as string, /^52:54:00(:[0-9a-f]{2}){3}$/);
  assert.notEqual(net!.mac, ORIGINAL.devices[0].mac);
  assert.notEqual(vsock!.cid, 3);
  assert.ok((vsock!.cid as number) >= 3 && (vsock!.cid as number) < 2 ** 32 - 1);
  assert.equal(vsock!.path, "/run/gold.sock-kid");
  assert.deepEqual(written, {
    type: "disk",
    name: "disk0",
    path: "/root.img",
    overlay: "temporary",
  });
  assert.deepEqual([read, rng], ORIGINAL.devices.slice(3));
});

Deno.test("two copies without names differ, and neither has the original's name", () => {
  const [a, b] = [copyOf(original(), {}), copyOf(original(), {})];
  assert.deepEqual([a.name, b.name], [undefined, undefined]);
  for (const i of [0, 1]) assert.notDeepEqual(a.devices![i], b.devices![i]);
});

Deno.test("what is set of a copy's device counts", () => {
  const set = { net0: { mac: "52:54:00:aa:bb:cc" }, disk0: { overlay: "/kid.overlay" } };
  const { devices } = copyOf(original(), { name: "kid", set });
  assert.equal(devices![0]!.mac, "52:54:00:aa:bb:cc");
  assert.equal(devices![2]!.overlay, "/kid.overlay");
});

Deno.test("a network card's address is not copied with its registers; others are", () => {
  const net = { name: "net0", type: "net", state: { mac: "52:54:00:01:02:03", pairs: 1 } };
  assert.deepEqual(ownIdentity(net), { name: "net0", type: "net", state: { pairs: 1 } });
  const rng = { name: "rng0", type: "rng", state: { mac: 1 } };
  assert.deepEqual(ownIdentity(rng), rng);
});
