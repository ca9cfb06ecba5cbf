/**
 * The device status field (virtio 1.2 §2.1, §3.1): which way a driver may go.
 *
 *     0 → ACKNOWLEDGE → DRIVER → FEATURES_OK → DRIVER_OK
 *
 * Each step keeps the bits of those before it. FAILED may be added anywhere, and 0 is a reset, which
 * is none of these steps.
 *
 * @module
 */

/** Bits of the device status. */
export const Status = {
  ACKNOWLEDGE: 1,
  DRIVER: 2,
  DRIVER_OK: 4,
  FEATURES_OK: 8,
  DEVICE_NEEDS_RESET: 64,
  FAILED: 128,
} as const;

const ACKNOWLEDGED = Status.ACKNOWLEDGE;
const DRIVEN = ACKNOWLEDGED | Status.DRIVER;
const NEGOTIATED = DRIVEN | Status.FEATURES_OK;
const RUNNING = NEGOTIATED | Status.DRIVER_OK;

/** From each status, where a driver may go. Drivers were seen to take the first two steps at once. */
const TRANSITIONS: Readonly<Record<number, readonly number[]>> = {
  0: [ACKNOWLEDGED, DRIVEN],
  [ACKNOWLEDGED]: [DRIVEN],
  [DRIVEN]: [NEGOTIATED],
  [NEGOTIATED]: [RUNNING],
  [RUNNING]: [],
};

/**
 * Whether a status is one that there can be.
 *
 * @param status Any number
 */
export function isStatus(status: number): boolean {
  const driven = status & ~(Status.DEVICE_NEEDS_RESET | Status.FAILED);
  return Object.hasOwn(TRANSITIONS, driven);
}

/**
 * Where a driver's write leads, a reset aside.
 *
 * @param status The status as it is
 * @param written What the driver wrote, not 0
 * @param acceptable Whether the features that it has chosen are acceptable
 * @returns The new status; the old one if the driver may not go there
 */
export function nextStatus(status: number, written: number, acceptable: () => boolean): number {
  // DEVICE_NEEDS_RESET is the device's own: only a reset leads on from it.
  if ((status & (Status.DEVICE_NEEDS_RESET | Status.FAILED)) !== 0) {
    return status | (written & Status.FAILED);
  }
  if ((written & Status.FAILED) !== 0) return status | Status.FAILED;
  if (!TRANSITIONS[status]!.includes(written)) return status;
  // §3.1.1: a driver reads the bit back to see whether its features were accepted.
  return written === NEGOTIATED && !acceptable() ? status : written;
}
