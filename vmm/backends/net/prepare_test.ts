import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import * as v from "valibot";
import { NetGuest } from "../../../tests/net_guest.ts";
import { testFrame } from "../../../tests/net_peer.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { nothingOpenedSince, openFiles } from "../../../tests/leaks.ts";
import { net } from "../../virtio/net.ts";
import { parseMac } from "./addresses.ts";
import { NetSchema } from "./net_config.ts";
import { macOf, prepareNet } from "./prepare.ts";

const NAMES = { name: "net0", event() {} };
const prepare = (entry: Record<string, unknown>) => prepareNet(v.parse(NetSchema, entry), NAMES);

Deno.test("a card's address follows from the names, and is nobody's who was assigned one", () => {
  assert.equal(macOf("web", "net0"), macOf("web", "net0"));
  assert.notEqual(macOf("web", "net0"), macOf("web", "net1"));
  assert.notEqual(macOf("web", "net0"), macOf("db", "net0"));
  assert.notEqual(macOf(undefined, "net0"), macOf(undefined, "net0"));
  for (const vm of ["a", "b", "c", "d", undefined]) {
    assert.equal(parseMac(macOf(vm, "net0"))![0]! & 3, 2);
  }
});

Deno.test("settings that the backend has no use for are refused, with their name", async () => {
  for (
    const [entry, key] of [
      [{ backend: "tap", forward: ["tcp:1:2"] }, "forward"],
      [{ backend: "slirp", address: "10.0.0.1/24" }, "address"],
      [{ backend: "user", queues: 2 }, "queues"],
      [{ backend: "unix:/tmp/x", netns: "/run/netns/x" }, "netns"],
    ] as const
  ) {
    await assert.rejects(() => prepare(entry), {
      name: "DocumentError",
      message: new RegExp(`net0: "${key}" is not for the backend`),
    });
  }
});

Deno.test("the schema names what is wrong", () => {
  for (
    const [entry, message] of [
      [{ backend: "bridge" }, /is not user, passt, slirp, tap or unix:PATH/],
      [{ mac: "01:00:00:00:00:00" }, /no device's MAC address/],
      [{ forward: ["tcp:x:1"] }, /"x" is no port/],
      [{ address: "10.0.0.1" }, /is not an IPv4 address/],
      [{ interface: "much-too-long-a-name" }, /is no interface's name/],
      [{ queues: 0 }, /queues|>=1/],
      [{ mtu: 10 }, />=68/],
    ] as const
  ) {
    const result = v.safeParse(NetSchema, entry);
    assert(!result.success);
    assert.match(result.issues[0].message, message);
  }
  assert.equal(v.parse(NetSchema, { later: 1 }).later, 1);
});

Deno.test("a socket that nobody listens on is told of, and leaves nothing open", async () => {
  const before = openFiles();
  await assert.rejects(() => prepare({ backend: "unix:/nowhere/at/all.sock" }), {
    name: "HostError",
    code: "ENOENT",
  });
  nothingOpenedSince(before);
});

Deno.test("a stream socket carries frames both ways", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/net.sock`;
  {
    using listener = Deno.listen({ transport: "unix", path });
    const accepted = listener.accept();
    await using vm = await VirtioMachine.open(net, { backend: `unix:${path}` });
    using peer = await accepted;
    const guest = new NetGuest(vm);
    guest.send(testFrame(60));
    const bytes = new Uint8Array(64);
    let count = 0;
    while (count < 64) count += (await peer.read(bytes.subarray(count)))!;
    assert.deepEqual([...bytes.subarray(0, 4)], [0, 0, 0, 60]);
    assert.deepEqual(bytes.subarray(4), testFrame(60));
    await peer.write(bytes);
    assert.deepEqual(await guest.next((frame) => frame), testFrame(60));
  }
  await Deno.remove(folder, { recursive: true });
});
