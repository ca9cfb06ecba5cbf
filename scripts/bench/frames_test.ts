import assert from "node:assert/strict";
import { arpRequest } from "../../vmm/backends/net/arp.ts";
import { UserNetwork } from "../../vmm/backends/net/user_network.ts";
import { parseMac } from "../../vmm/backends/net/addresses.ts";
import { datagram, FRAME_BYTES, GUEST_MAC, routerQuestion } from "./frames.ts";

Deno.test("the question for the router is what a user network is asked by its guest", () => {
  const asked = arpRequest(parseMac(GUEST_MAC)!, UserNetwork.GUEST, UserNetwork.HOST);
  assert.deepEqual(routerQuestion(), [...asked]);
});

Deno.test("a datagram's header has a good checksum, and the frame's whole length", () => {
  const bytes = datagram(0x1234, "52:55:0a:00:02:02", [7]);
  const ip = bytes.slice(14, 34);
  let sum = 0;
  for (let i = 0; i < ip.length; i += 2) sum += ip[i]! * 256 + ip[i + 1]!;
  assert.equal((sum & 0xffff) + (sum >>> 16), 0xffff);
  assert.equal(ip[2]! * 256 + ip[3]!, FRAME_BYTES - 14);
  assert.deepEqual(bytes.slice(36, 40), [
    0x12,
    0x34,
    (FRAME_BYTES - 34) >>> 8,
    (FRAME_BYTES - 34) & 0xff,
  ]);
  assert.deepEqual(bytes.slice(42), [7]);
});
