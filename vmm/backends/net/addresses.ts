/**
 * MAC and IPv4 addresses as text and as bytes.
 *
 * @module
 */
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const GROUP_BIT = 1;

/**
 * Reads the MAC address of one device.
 *
 * @param text Six bytes in hex with colons
 * @returns Six bytes, or undefined if it is none, or the address of a group
 */
export function parseMac(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!MAC.test(text)) return undefined;
  const bytes = Uint8Array.from(text.split(":"), (byte) => parseInt(byte, 16));
  return (bytes[0]! & GROUP_BIT) === 0 ? bytes : undefined;
}

/**
 * A MAC address as text.
 *
 * @param mac Six bytes
 */
export function macText(mac: Iterable<number>): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/**
 * Reads an IPv4 address.
 *
 * @param text Four numbers with dots
 * @returns Four bytes, or undefined if it is none
 */
export function parseIpv4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part))) {
    return undefined;
  }
  const address = parts.map(Number);
  return address.every((byte) => byte <= 255) ? address : undefined;
}

/**
 * An IPv4 address as text.
 *
 * @param address Four bytes
 */
export function ipv4Text(address: readonly number[]): string {
  return address.join(".");
}

/**
 * Reads an IPv4 address with the length of its network's prefix.
 *
 * @param text `10.0.0.1/24`
 * @returns Its parts, or undefined if it is none
 */
export function parseCidr(text: string): { address: number[]; prefix: number } | undefined {
  const slash = text.indexOf("/");
  const address = parseIpv4(text.slice(0, Math.max(0, slash)));
  const prefix = text.slice(slash + 1);
  if (address === undefined || !/^(\d|[12]\d|3[0-2])$/.test(prefix)) return undefined;
  return { address, prefix: Number(prefix) };
}
