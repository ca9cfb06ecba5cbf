/**
 * Ethernet frames that benches send, as bytes.
 *
 * @module
 */

/** Of the guest's card, in every VMM. */
export const GUEST_MAC = "52:54:00:12:34:56";
/** Nobody's: a host drops what is for it as soon as it came. */
export const STRANGER_MAC = "02:00:00:00:00:99";
/** The longest frame of an Ethernet that knows no larger packets. */
export const FRAME_BYTES = 1514;

const ROUTER = [10, 0, 2, 2];
const GUEST = [10, 0, 2, 15];
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const GUEST_PORT = 4000;
const ETHERNET_BYTES = 14;
const IP_BYTES = 20;
const UDP = 17;

const u16 = (value: number) => [value >>> 8 & 0xff, value & 0xff];
const mac = (text: string) => text.split(":").map((byte) => Number.parseInt(byte, 16));

/**
 * A question for the MAC address of a user network's router (RFC 826).
 *
 * @returns The frame
 */
export function routerQuestion(): number[] {
  const hardware = [...u16(1), ...u16(0x0800), 6, 4, ...u16(1)];
  return [
    ...ethernet(BROADCAST, 0x0806),
    ...hardware,
    ...mac(GUEST_MAC),
    ...GUEST,
    ...new Array(6).fill(0),
    ...ROUTER,
  ];
}

/**
 * The begin of a datagram from the guest to a port of the user network's router.
 *
 * @param port The port
 * @param router The router's MAC address
 * @param payload What it begins with
 * @returns What the frame begins with; it has {@linkcode FRAME_BYTES}
 */
export function datagram(port: number, router: string, payload: readonly number[]): number[] {
  const length = FRAME_BYTES - ETHERNET_BYTES;
  const header = [
    ...[0x45, 0, ...u16(length), 0, 0, 0x40, 0, 64, UDP, 0, 0], // don't fragment
    ...GUEST,
    ...ROUTER,
  ];
  header.splice(10, 2, ...u16(checksum(header)));
  const udp = [...u16(GUEST_PORT), ...u16(port), ...u16(length - IP_BYTES), 0, 0];
  return [...ethernet(router, 0x0800), ...header, ...udp, ...payload];
}

/**
 * The begin of a frame that no protocol takes.
 *
 * @param destination Whom it is for
 * @returns What it begins with
 */
export function stray(destination: string): number[] {
  return ethernet(destination, 0x88b5); // IEEE 802: for experiments
}

function ethernet(destination: string, type: number): number[] {
  return [...mac(destination), ...mac(GUEST_MAC), ...u16(type)];
}

/** Of the Internet (RFC 1071). */
function checksum(bytes: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i]! * 256 + bytes[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
