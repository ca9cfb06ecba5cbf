import "../../../tests/c_library.ts";
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { NetGuest } from "../../../tests/net_guest.ts";
import { onNetwork } from "../../../tests/on_network.ts";
import { VirtioMachine } from "../../../tests/virtio_machine.ts";
import { net } from "../../virtio/net.ts";
import { UserNetwork } from "./user_network.ts";

for (const backend of ["passt", "slirp"] as const) {
  onNetwork(backend, `${backend}: the guest reaches the host's loopback at 10.0.2.2`, async () => {
    const echo = createSocket("udp4");
    echo.on("message", (data, { port, address }) => echo.send(data, port, address));
    echo.bind(0, "127.0.0.1");
    await once(echo, "listening");
    await using vm = await VirtioMachine.open(net, { backend });
    const guest = new NetGuest(vm);
    assert.deepEqual([...await guest.findHost()], [...UserNetwork.HOST_MAC]);
    const question = new TextEncoder().encode("is anybody there?");
    assert.deepEqual(await guest.askByUdp(echo.address().port, question), question);
    assert.equal(vm.stats.tx_packets, 2);
    assert.equal(vm.stats.tx_errors, 0);
    echo.close();
    await once(echo, "close");
  });

  onNetwork(backend, `${backend}: a forwarded port leads to the guest, and data both ways`, async () => {
    const port = freePort();
    await using vm = await VirtioMachine.open(net, { backend, forward: [`tcp:${port}:80`] });
    const guest = new NetGuest(vm);
    await guest.findHost();
    const served = guest.echoByTcp(80);
    const client = await Deno.connect({ hostname: "127.0.0.1", port });
    const sent = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
    await client.write(sent);
    const answer = new Uint8Array(100);
    const count = await client.read(answer);
    assert.deepEqual(answer.subarray(0, count!), sent);
    client.close();
    assert.deepEqual(await served, sent);
  });

  onNetwork(backend, `${backend}: a port that is taken is told of before the VM starts`, async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    await assert.rejects(
      () => VirtioMachine.open(net, { backend, forward: [`tcp:${port}:80`] }),
      { name: "VmError", message: new RegExp(`tcp port ${port} of 127.0.0.1`) },
    );
  });
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
