import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import { HEADER, NetGuest } from "../../../tests/net_guest.ts";
import { parsePacket, Protocol, udpFrame } from "../../../tests/net_packets.ts";
import { testFrame } from "../../../tests/net_peer.ts";
import { onNetwork } from "../../../tests/on_network.ts";
import { TestNamespace } from "../../../tests/test_namespace.ts";
import { TRANSPORTS, VirtioMachine } from "../../../tests/virtio_machine.ts";
import { HostError } from "../../../ffi/errors.ts";
import { inNetworkNamespace } from "../../../ffi/network_namespace.ts";
import { NetFeature } from "../../virtio/net/features.ts";
import { net } from "../../virtio/net.ts";
import { UserNetwork } from "./user_network.ts";

/** The host's end of the tap has the address that the guest of these tests asks for. */
const ADDRESS = "10.0.2.2/24";
const GSO_TCPV4 = 1;
const NEEDS_CSUM = 1;
const SEGMENT = 1448;
/** Ethernet, IPv4 and TCP. */
const HEADERS = 14 + 20 + 20;

for (const transport of TRANSPORTS) {
  onNetwork("tap", `${transport}: packets go both ways between guest and host`, async () => {
    await using space = await TestNamespace.make();
    const config = { backend: "tap", netns: space.path, address: ADDRESS, interface: "test0" };
    await using vm = await VirtioMachine.open(net, config, { transport });
    const guest = new NetGuest(vm);
    await guest.findHost();
    const socket = space.udp([UserNetwork.HOST, 5000], [UserNetwork.GUEST, 4000]);
    const data = new TextEncoder().encode("hello");
    guest.send(udpFrame(guest.toHost(4000, 5000), data));
    await vm.until(() => {
      const came = space.receive(socket);
      if (came !== undefined) assert.deepEqual(came, data);
      return came !== undefined;
    });
    space.send(socket, data);
    const packet = await guest.next((frame) => {
      const parsed = parsePacket(frame);
      return parsed?.protocol === Protocol.UDP ? parsed : undefined;
    });
    assert.deepEqual(packet.data, data);
    assert.equal(packet.sourcePort, 5000);
  });
}

onNetwork("tap", "a tap is up with its address and MTU, and goes with its VM", async () => {
  await using space = await TestNamespace.make();
  const own = () => Deno.readLinkSync("/proc/thread-self/ns/net");
  const before = own();
  {
    const config = { backend: "tap", netns: space.path, address: "10.9.8.7/20", mtu: 4000 };
    await using _ = await VirtioMachine.open(net, config);
    const [shown] = JSON.parse(await space.run("ip", "-json", "addr", "show", "dev", "hvsh0"));
    assert.deepEqual(
      shown.addr_info.filter(({ family }: { family: string }) => family === "inet")
        .map((i: { local: string; prefixlen: number }) => [i.local, i.prefixlen]),
      [["10.9.8.7", 20]],
    );
    assert.equal(shown.mtu, 4000);
    assert(shown.flags.includes("UP"));
    assert.equal(own(), before, "this thread is where it was");
  }
  assert.doesNotMatch(await space.run("ip", "link"), /hvsh0/);
});

onNetwork("tap", "a segment of 64 KiB goes out as one, and comes in as one", async () => {
  await using space = await TestNamespace.make();
  const config = { backend: "tap", netns: space.path, interface: "test0" };
  await using vm = await VirtioMachine.open(net, config);
  const guest = new NetGuest(vm, 100);
  guest.collect();
  guest.received.length = 0;
  const wire = space.raw("test0");
  const frame = tcpSegment(60_000);
  const header = gsoHeader();
  guest.send(frame, header);
  await vm.until(() => {
    const came = space.receive(wire);
    if (came === undefined || came.length < 1000) return false;
    assert.deepEqual(came.subarray(0, 10), header.subarray(0, 10));
    assert.deepEqual(came.subarray(10), frame);
    return true;
  });
  const sent = new Uint8Array(10 + frame.length);
  sent.set(header.subarray(0, 10));
  sent.set(frame, 10);
  space.send(wire, sent);
  await vm.until(() => {
    guest.collect();
    return guest.received.some((one) => one.frame.length > 1000);
  });
  const came = guest.received.find((one) => one.frame.length > 1000)!;
  assert.deepEqual(came.frame, frame);
  assert.equal(came.header[1], GSO_TCPV4);
  const buffers = new DataView(came.header.buffer).getUint16(10, true);
  assert.equal(buffers, Math.ceil((HEADER + frame.length) / (HEADER + 1514)));
});

onNetwork("tap", "a guest without offloads gets segments cut, with their checksums", async () => {
  await using space = await TestNamespace.make();
  const config = { backend: "tap", netns: space.path, interface: "test0" };
  const { GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO, GUEST_USO4, GUEST_USO6 } =
    NetFeature;
  await using vm = await VirtioMachine.open(net, config, {
    without: [GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, GUEST_ECN, GUEST_UFO, GUEST_USO4, GUEST_USO6],
  });
  const guest = new NetGuest(vm, 100);
  const wire = space.raw("test0");
  const frame = tcpSegment(10_000);
  const sent = new Uint8Array(10 + frame.length);
  sent.set(gsoHeader().subarray(0, 10));
  sent.set(frame, 10);
  space.send(wire, sent);
  let bytes = 0;
  await vm.until(() => {
    guest.collect();
    for (const one of guest.received.splice(0)) {
      const packet = parsePacket(one.frame);
      if (packet?.protocol !== Protocol.TCP) continue;
      assert(one.frame.length <= 1514);
      assert.equal(one.header[0], 0);
      assert.equal(one.header[1], 0);
      bytes += packet.data.length;
    }
    return bytes >= 10_000;
  });
  assert.equal(bytes, 10_000);
});

onNetwork("tap", "headers that lie do not reach the kernel", async () => {
  await using space = await TestNamespace.make();
  const config = { backend: "tap", netns: space.path, interface: "test0" };
  await using vm = await VirtioMachine.open(net, config);
  const guest = new NetGuest(vm);
  const frame = tcpSegment(1000);
  const lies: [name: string, change: (view: DataView) => void][] = [
    ["checksum past the end", (v) => v.setUint16(6, frame.length - 1, true)],
    ["checksum offset past the end", (v) => v.setUint16(8, 0xffff, true)],
    ["checksum in the Ethernet header", (v) => v.setUint16(6, 0, true)],
    ["segments of no bytes", (v) => v.setUint16(4, 0, true)],
    ["headers longer than the frame", (v) => v.setUint16(2, frame.length + 1, true)],
    ["segments without a checksum", (v) => v.setUint8(0, 0)],
    ["no such kind of segments", (v) => v.setUint8(1, 77)],
    ["ECN for UDP", (v) => v.setUint8(1, 0x83)],
  ];
  for (const [i, [name, change]] of lies.entries()) {
    const header = gsoHeader();
    change(new DataView(header.buffer));
    guest.send(frame, header);
    assert.equal(vm.stats.tx_errors, i + 1, name);
  }
  guest.send(frame, gsoHeader());
  assert.equal(vm.stats.tx_packets, 1);
  assert.equal(vm.driver(1).collect().length, 1);
});

onNetwork("tap", "queue pairs come into use when the driver asks for them", async () => {
  await using space = await TestNamespace.make();
  const config = { backend: "tap", netns: space.path, interface: "test0", queues: 2 };
  await using vm = await VirtioMachine.open(net, config);
  assert.equal(vm.registers.readConfig(8, 2), 2);
  const control = 4;
  const ask = (pairs: number) => {
    const request = vm.driver(control).add({
      read: [Uint8Array.of(4, 0, pairs, 0)],
      write: [1],
    });
    vm.kick(control);
    vm.poll();
    vm.driver(control).collect();
    return request.written(0)[0];
  };
  const wire = space.raw("test0");
  const viaSecond = () => {
    vm.driver(3).add({ read: [new Uint8Array(HEADER), testFrame(60, 9)] });
    vm.kick(3);
    vm.poll();
    vm.driver(3).collect();
  };
  viaSecond();
  assert.equal(vm.stats.tx_packets, 0, "the second pair is not in use");
  assert.equal(ask(3), 1);
  assert.equal(ask(0), 1);
  assert.equal(ask(2), 0);
  vm.kick(3);
  vm.poll();
  assert.equal(vm.stats.tx_packets, 1);
  await vm.until(() => space.receive(wire)?.length === 70);
  assert.equal(ask(1), 0);
});

onNetwork("tap", "a tap that is deleted is a link that goes down", async () => {
  await using space = await TestNamespace.make();
  const config = { backend: "tap", netns: space.path, interface: "test0" };
  await using vm = await VirtioMachine.open(net, config);
  const guest = new NetGuest(vm);
  guest.collect();
  await space.run("ip", "link", "delete", "test0");
  await vm.until(() => vm.stats.link === 0);
  assert.match(vm.events[0]!.message!, /interface has been deleted/);
  guest.send(testFrame(60));
  assert.equal(vm.stats.tx_dropped, 1);
});

onNetwork("tap", "a tap that was there before is used and stays", async () => {
  await using space = await TestNamespace.make();
  await space.run("ip", "tuntap", "add", "mine", "mode", "tap", "vnet_hdr");
  const config = { backend: "tap", netns: space.path, interface: "mine" };
  {
    await using _ = await VirtioMachine.open(net, config);
    await assert.rejects(() => VirtioMachine.open(net, config), {
      name: "HostError",
      code: "EBUSY",
    });
  }
  assert.match(await space.run("ip", "link"), /mine/);
});

onNetwork(
  "tap",
  "work in another namespace that fails leaves the thread where it was",
  async () => {
    await using space = await TestNamespace.make();
    const own = () => Deno.readLinkSync("/proc/thread-self/ns/net");
    const before = own();
    assert.throws(() =>
      inNetworkNamespace(space.path, () => {
        assert.notEqual(own(), before);
        throw new Error("no");
      }), /^Error: no$/);
    assert.equal(own(), before);
    assert.throws(() => inNetworkNamespace("/dev/null", () => {}), HostError);
    assert.equal(own(), before);
  },
);

/** Ethernet, IPv4 and TCP with data, to somebody else than the host. */
function tcpSegment(length: number): Uint8Array<ArrayBuffer> {
  const frame = testFrame(HEADERS + length);
  const view = new DataView(frame.buffer);
  frame.set([0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00]);
  view.setUint16(14, 0x4500);
  view.setUint16(16, 40 + length);
  view.setUint32(18, 0x0001_4000);
  view.setUint16(22, 0x4006);
  view.setUint16(24, 0);
  frame.set([10, 9, 9, 1, 10, 9, 9, 2], 26);
  view.setUint32(34, 0x1000_2000);
  view.setUint32(38, 1);
  view.setUint32(42, 1);
  view.setUint16(46, 0x5010);
  view.setUint16(48, 0xffff);
  view.setUint32(50, 0);
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(24, ~sum & 0xffff);
  return frame;
}

function gsoHeader(): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(HEADER);
  const view = new DataView(header.buffer);
  view.setUint8(0, NEEDS_CSUM);
  view.setUint8(1, GSO_TCPV4);
  view.setUint16(2, HEADERS, true);
  view.setUint16(4, SEGMENT, true);
  view.setUint16(6, 34, true);
  view.setUint16(8, 16, true);
  return header;
}
