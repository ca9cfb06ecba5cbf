/**
 * A virtio device behind its transport as the machine calls it: on the I/O thread, and from the main
 * thread.
 *
 * @module
 */
import { EpollEvent } from "../../ffi/epoll.ts";
import type { Device } from "../device.ts";
import type { IoLoop } from "../io_loop.ts";
import { GuardedLoop } from "./guarded_loop.ts";
import type { VirtioTransport } from "./transport.ts";

/** Each signal is an edge, so that the eventfd need not be read: its count has 64 bits to grow. */
const EVERY_SIGNAL = EpollEvent.IN + EpollEvent.EDGE;

/**
 * Makes the machine's device of a transport.
 *
 * @param transport The transport
 * @param place What it answers on the machine's buses
 */
export function transportDevice(
  transport: VirtioTransport,
  place: Pick<Device, "ranges" | "pci">,
): Device {
  const { device, guard } = transport;
  let loop: IoLoop | undefined;
  return {
    ...place,
    reset: () => transport.reset(),
    resetting: () => transport.state.resetting !== 0,
    ...(device.inFlight && { inFlight: () => device.inFlight!() }),
    restored: () => transport.restored(),
    freeze: () => transport.freeze(),
    thaw: () => transport.thaw(),
    ...(device.backing && { backing: () => device.backing!() }),
    ...(device.flush && { flush: () => device.flush!() }),
    ...(device.kept && { kept: () => device.kept!() }),
    attend(io, kept) {
      loop = io;
      guard(() => device.attend?.(new GuardedLoop(io, guard), kept));
      for (const queue of transport.attended) {
        const work = () => transport.notified(queue);
        io.watch(transport.event(queue).fd, EVERY_SIGNAL, () => guard(work));
      }
    },
    wake() {
      guard(() => {
        if (transport.state.resetting !== 0) device.cancel?.();
      });
      guard(() => device.wake?.());
    },
    close() {
      transport.disconnect();
      if (loop !== undefined) {
        for (const queue of transport.attended) loop.unwatch(transport.event(queue).fd);
      }
      device.close?.();
    },
    ...(device.unsent && {
      unsent() {
        let unsent = false;
        guard(() => {
          unsent = device.unsent!();
        });
        return unsent;
      },
    }),
    ...(device.listening && { listening: () => device.listening!() }),
    ...(device.receive && {
      receive(bytes: Uint8Array) {
        let taken = 0;
        guard(() => {
          taken = device.receive!(bytes);
        });
        return taken;
      },
    }),
    ...(device.action && {
      action(name: string, value?: string) {
        let known = true;
        guard(() => {
          known = device.action!(name, value);
        });
        return known;
      },
    }),
    ...(device.gauges && { gauges: device.gauges }),
    stats() {
      const { needs_resets, resets, interrupts, notifications } = transport.state;
      return { ...device.stats?.(), interrupts, notifications, resets, needs_resets };
    },
  };
}
