/**
 * virtio-console's numbers (virtio 1.2 §5.3), its entry in the document and its state in the arena.
 *
 * @module
 */
import * as v from "valibot";
import { addr64, array, struct, u16, u32, u8 } from "../../../ffi/struct.ts";
import type { HostEndPlan } from "../../backends/ports/host_end.ts";

/** Feature bits (§5.3.3). */
export const ConsoleFeature = { SIZE: 0, MULTIPORT: 1, EMERG_WRITE: 2 } as const;

/** Offsets in the configuration space (§5.3.4). */
export const ConsoleConfigOffset = { COLS: 0, ROWS: 2, MAX_NR_PORTS: 4, EMERG_WR: 8 } as const;
/** Bytes of the configuration space. */
export const CONSOLE_CONFIG_BYTES = 12;

/** `event` of a control message (§5.3.6.2). */
export const ControlEvent = {
  DEVICE_READY: 0,
  DEVICE_ADD: 1,
  DEVICE_REMOVE: 2,
  PORT_READY: 3,
  CONSOLE_PORT: 4,
  RESIZE: 5,
  PORT_OPEN: 6,
  PORT_NAME: 7,
} as const;

/** `struct virtio_console_control`: le32 id, le16 event, le16 value. */
export const CONTROL_BYTES = 8;

/** The queues of a port, and the control queues, by number (§5.3.2). */
export const ConsoleQueue = { CONTROL_RECEIVE: 2, CONTROL_TRANSMIT: 3 } as const;

/** Number of a port's receive queue; its transmit queue is the next. */
export function receiveQueue(port: number): number {
  return port === 0 ? 0 : 2 * port + 2;
}

/** The port whose queue that is; not for the control queues. */
export function portOfQueue(queue: number): number {
  return queue < 2 ? 0 : (queue >> 1) - 1;
}

/** Ports of one device, the console among them. */
export const MOST_PORTS = 8;

const dimension = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0xffff));
const path = v.pipe(v.string(), v.nonEmpty(), v.check((s) => !s.includes("\0"), "has a NUL byte"));
const PORT_NAME = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$/;

const port = v.pipe(
  v.looseObject({
    /** What the guest knows it by: `/dev/virtio-ports/NAME`. */
    name: v.pipe(v.string(), v.regex(PORT_NAME, "is not a name of letters, digits and . _ : @ -")),
    /** What is at the host's end. Default `none`: what the guest writes is discarded. */
    mode: v.optional(v.picklist(["none", "socket", "read", "write"]), "none"),
    path: v.optional(path),
    /** A stream of hvsh's own, in place of a path: 0 to read, 1 or 2 to write. */
    fd: v.optional(v.picklist([0, 1, 2])),
  }),
  v.check(
    ({ mode, path, fd }) =>
      mode === "none"
        ? path === undefined && fd === undefined
        : (path === undefined) !== (fd === undefined),
    'a "socket", "read" or "write" has a "path", or an "fd" in its place',
  ),
  v.check(
    ({ mode, fd }) => fd === undefined || mode === (fd === 0 ? "read" : "write"),
    '"fd" 0 is to read, 1 and 2 are to write',
  ),
);

/** The schema of a console's entry in the document. */
export const ConsoleSchema = v.looseObject({
  /** The window's size in characters; left out, the guest is told none. */
  cols: v.optional(dimension),
  rows: v.optional(dimension),
  /** Ports beside the console itself. */
  ports: v.optional(
    v.pipe(
      v.array(port),
      v.maxLength(MOST_PORTS - 1, `a console has ${MOST_PORTS - 1} further ports at most`),
      v.check(
        (ports) => new Set(ports.map(({ name }) => name)).size === ports.length,
        "two ports have one name",
      ),
    ),
    [],
  ),
});

/** A console's entry in the document, and the ends of its ports, once they are opened. */
export type ConsoleConfig = v.InferOutput<typeof ConsoleSchema> & {
  /** One for each of `ports`. */
  readonly ends?: readonly (HostEndPlan | null)[];
};

/** What one port remembers. */
export const PortState = struct("virtio_console_port", {
  /** Bytes given to the guest, and taken from it, since the VM's start. */
  received: addr64,
  transmitted: addr64,
  /** Bytes of those that nobody took. */
  discarded: addr64,
  /** Bytes of the first chain of the transmit queue that are out already. */
  transmit_offset: u32,
  /** Control messages that the guest is still to get: a bit each of {@linkcode Pending}. */
  pending: u8,
  /** The driver has set it up. */
  guest_ready: u8,
  /** Some program of the guest has it open. */
  guest_open: u8,
  /** Somebody is at the host's end. The host's own, so a reset leaves it. */
  host_open: u8,
});

/** The device's state. */
export const ConsoleState = struct("virtio_console", {
  ports: array(PortState, MOST_PORTS),
  /** The window's size; 0 if it is not known. */
  cols: u16,
  rows: u16,
  /** Whether the size above holds, and not the document's. */
  resized: u8,
  /** Whether input was refused that the main thread has in hand. */
  refused: u8,
});

/** Control messages to send, in this order. What they say is looked up when they are sent. */
export const Pending = { ADD: 1, CONSOLE: 2, NAME: 4, RESIZE: 8, OPEN: 16 } as const;
