/**
 * Where a driver may put the rings of a split virtqueue (virtio 1.2 §2.7).
 *
 * @module
 */
import type { DmaMap } from "./dma.ts";
import { MOST_QUEUE_SIZE, ringSizes } from "./queue_state.ts";

/**
 * Looks at a queue's set-up.
 *
 * @param dma Guest memory
 * @param size Descriptors
 * @param desc Address of the descriptor table
 * @param driver Address of the available ring
 * @param device Address of the used ring
 * @returns What is wrong with it, or undefined
 */
export function ringProblem(
  dma: DmaMap,
  size: number,
  desc: number,
  driver: number,
  device: number,
): string | undefined {
  if (size < 1 || size > MOST_QUEUE_SIZE || (size & (size - 1)) !== 0) {
    return `its size is ${size}, not a power of two up to ${MOST_QUEUE_SIZE}`;
  }
  const sizes = ringSizes(size);
  return partProblem(dma, "descriptor table", desc, sizes.desc, 16) ??
    partProblem(dma, "available ring", driver, sizes.driver, 2) ??
    partProblem(dma, "used ring", device, sizes.device, 4);
}

function partProblem(
  dma: DmaMap,
  part: string,
  address: number,
  length: number,
  alignment: number,
): string | undefined {
  if (address % alignment !== 0) {
    return `its ${part} at 0x${address.toString(16)} is not aligned to ${alignment}`;
  }
  if (dma.find(address, length) >= 0) return undefined;
  return `its ${part} at 0x${address.toString(16)} is not in guest memory`;
}
