/**
 * virtio-net's feature bits (virtio 1.2 §5.1.3), and what they are to a tap.
 *
 * @module
 */
import { TapOffload } from "../../../ffi/tap.ts";

/** Feature bits, `VIRTIO_NET_F_`. */
export const NetFeature = {
  CSUM: 0,
  GUEST_CSUM: 1,
  CTRL_GUEST_OFFLOADS: 2,
  MTU: 3,
  MAC: 5,
  GUEST_TSO4: 7,
  GUEST_TSO6: 8,
  GUEST_ECN: 9,
  GUEST_UFO: 10,
  HOST_TSO4: 11,
  HOST_TSO6: 12,
  HOST_ECN: 13,
  HOST_UFO: 14,
  MRG_RXBUF: 15,
  STATUS: 16,
  CTRL_VQ: 17,
  CTRL_RX: 18,
  CTRL_RX_EXTRA: 20,
  MQ: 22,
  CTRL_MAC_ADDR: 23,
  GUEST_USO4: 54,
  GUEST_USO6: 55,
  HOST_USO: 56,
} as const;

/** What every backend can do. */
const ALWAYS = [
  NetFeature.MAC,
  NetFeature.MRG_RXBUF,
  NetFeature.STATUS,
  NetFeature.CTRL_VQ,
  NetFeature.CTRL_RX,
  NetFeature.CTRL_RX_EXTRA,
  NetFeature.CTRL_MAC_ADDR,
];

/** A feature of the guest's receiving side and the offload of a tap that it allows. */
const RECEIVED: readonly (readonly [feature: number, offload: number])[] = [
  [NetFeature.GUEST_CSUM, TapOffload.CSUM],
  [NetFeature.GUEST_TSO4, TapOffload.TSO4],
  [NetFeature.GUEST_TSO6, TapOffload.TSO6],
  [NetFeature.GUEST_ECN, TapOffload.TSO_ECN],
  [NetFeature.GUEST_UFO, TapOffload.UFO],
  [NetFeature.GUEST_USO4, TapOffload.USO4],
  [NetFeature.GUEST_USO6, TapOffload.USO6],
];

/** A feature of the sending side, and the offload of a tap's that shows its kernel can do it. */
const SENT: readonly (readonly [feature: number, offload: number])[] = [
  [NetFeature.CSUM, TapOffload.CSUM],
  [NetFeature.HOST_TSO4, TapOffload.TSO4],
  [NetFeature.HOST_TSO6, TapOffload.TSO6],
  [NetFeature.HOST_ECN, TapOffload.TSO_ECN],
  [NetFeature.HOST_UFO, TapOffload.UFO],
  [NetFeature.HOST_USO, TapOffload.USO4],
];

/**
 * The features that a device offers.
 *
 * @param offloads What its backend can do, {@linkcode TapOffload}s added up
 * @param options Whether it has an MTU of its own, and how many queue pairs
 */
export function offeredFeatures(
  offloads: number,
  options: { mtu: boolean; pairs: number },
): readonly number[] {
  const able = [...RECEIVED, ...SENT].filter(([, offload]) => (offloads & offload) !== 0);
  return [
    ...ALWAYS,
    ...able.map(([feature]) => feature),
    ...(offloads === 0 ? [] : [NetFeature.CTRL_GUEST_OFFLOADS]),
    ...(options.mtu ? [NetFeature.MTU] : []),
    ...(options.pairs > 1 ? [NetFeature.MQ] : []),
  ];
}

/**
 * What a tap may leave to the guest.
 *
 * @param has Whether the guest can take a feature
 * @returns {@linkcode TapOffload}s, added up
 */
export function receiveOffloads(has: (feature: number) => boolean): number {
  return RECEIVED.reduce((sum, [feature, offload]) => has(feature) ? sum | offload : sum, 0);
}
