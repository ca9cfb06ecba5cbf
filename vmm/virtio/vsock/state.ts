/**
 * What of a socket device lies in the arena: how the threads tell each other of resets, and counters.
 *
 * @module
 */
import { addr64, type Struct, struct, u32 } from "../../../ffi/struct.ts";

/** The layout. "Sent" and "received" are the guest's point of view. */
export const VsockState = struct("vsock", {
  /** Counts resets: what was opened under an older number is void. */
  generation: u32,
  /** The guest is still to be told that its connections are gone (VIRTIO_VSOCK_EVENT_TRANSPORT_RESET). */
  transport_reset: u32,
  /** Connections that there are now. */
  connections: u32,
  /** Connections that were established, by whoever asked for them. */
  by_guest: addr64,
  by_host: addr64,
  /** Packets answered with RST because they made no sense, or asked for what there isn't. */
  refused: addr64,
  /** Packets that claim to come from another CID; nobody is there to be answered. */
  misaddressed: addr64,
  received_packets: addr64,
  received_bytes: addr64,
  sent_packets: addr64,
  sent_bytes: addr64,
});

/** The device's state. */
export type VsockRegisters = Struct<typeof VsockState>;
