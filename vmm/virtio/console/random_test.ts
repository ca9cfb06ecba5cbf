import fc from "fast-check";
import { ConsoleGuest } from "../../../tests/console_guest.ts";
import { playRing, RANDOM_QUEUE_SIZE, randomRing } from "../../../tests/random_rings.ts";
import { TRANSPORTS, VirtioMachine } from "../../../tests/virtio_machine.ts";
import { virtioConsole } from "../console.ts";
import { ControlEvent } from "./state.ts";

const QUEUES = 8;

for (const transport of TRANSPORTS) {
  Deno.test(`10,000 mutated rings leave a console that works (${transport})`, async () => {
    const ports = [
      { name: "in", mode: "read", path: "/dev/zero" },
      { name: "out", mode: "write", path: "/dev/null" },
    ];
    const options = { transport, queueSize: RANDOM_QUEUE_SIZE };
    await using vm = await VirtioMachine.open(virtioConsole, { ports }, options);
    const guest = new ConsoleGuest(vm);
    fc.assert(
      fc.property(randomRing(Array.from({ length: QUEUES }, (_, i) => i)), (ring) => {
        const port = ring.queue < 2 ? 0 : (ring.queue >> 1) - 1;
        guest.control({ id: port, event: ControlEvent.PORT_OPEN, value: 1 });
        vm.threads.main.receive!(new Uint8Array(100));
        playRing(vm, ring);
        vm.output.length = 0;
        vm.events.length = 0;
      }),
      { numRuns: 10_000 },
    );
    guest.lendControl(4);
    guest.control({ id: 0, event: ControlEvent.DEVICE_READY, value: 1 });
    guest.send(0, "alive");
    if (String.fromCharCode(...vm.output) !== "alive" || guest.controlled().length !== 3) {
      throw new Error("the console does not answer any more");
    }
  });
}
