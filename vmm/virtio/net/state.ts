/**
 * A network device's state in the arena.
 *
 * @module
 */
import { addr64, bytes, type Field, struct, u16, u32, u8 } from "../../../ffi/struct.ts";
import { macText } from "../../backends/net/addresses.ts";

const macBytes = bytes(6);
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;

/** An Ethernet address; in JSON as it is mostly written, `52:54:00:12:34:56`. */
const macAddress: Field<Uint8Array> = {
  ...macBytes,
  toJson: macText,
  fromJson(view, offset, json, path) {
    if (typeof json !== "string" || !MAC.test(json)) {
      throw new TypeError(`${path} is no address such as 52:54:00:12:34:56`);
    }
    macBytes.fromJson(view, offset, json.replaceAll(":", ""), path);
  },
};

/** What all threads know of a network device. */
export const NetState = struct("virtio_net", {
  /** Its address: the configuration's until the driver sets another. */
  mac: macAddress,
  /** Queue pairs in use; the driver asks for more than one (§5.1.6.5.5). */
  pairs: u16,
  /** Whether somebody has pulled the cable. */
  link_down: u8,
  /** Whether the backend is at its end. */
  backend_gone: u8,
  /** {@linkcode TapOffload}s that the driver has left on; the negotiated ones at first. */
  offloads: u32,
  /** How often the device has been reset. */
  generation: u32,
  /** Frames and their bytes to the guest. */
  rx_packets: addr64,
  rx_bytes: addr64,
  /** Frames for the guest that it had no place for, or whose link was down. */
  rx_dropped: addr64,
  /** Buffers of the guest that no frame can go to. */
  rx_errors: addr64,
  /** Frames and their bytes from the guest. */
  tx_packets: addr64,
  tx_bytes: addr64,
  /** Frames from the guest that the backend did not take, or whose link was down. */
  tx_dropped: addr64,
  /** Frames from the guest that are none, or whose header lies. */
  tx_errors: addr64,
});
