/**
 * The network that user networking shows to the guest, the same whichever program makes it, with
 * the addresses that QEMU's `-netdev user` has.
 *
 * @module
 */

/** IPv4 addresses of the guest's network, 10.0.2.0/24; its DHCP hands them out. */
export const UserNetwork = {
  NETWORK: [10, 0, 2, 0],
  MASK: [255, 255, 255, 0],
  PREFIX: 24,
  /** The router; to the guest, also the host's loopback. */
  HOST: [10, 0, 2, 2],
  /** Passes questions on to the host's own name server. */
  NAMESERVER: [10, 0, 2, 3],
  GUEST: [10, 0, 2, 15],
  /** The router's MAC address: locally administered, then its IPv4 address. */
  HOST_MAC: [0x52, 0x55, 10, 0, 2, 2],
} as const;
