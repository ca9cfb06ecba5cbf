/**
 * The filesystems that a shared folder goes over. They are one to the client, and files of different ones
 * may have the same number: `find` would see a loop at a mount point, `cp -a` and `tar` hard links. So the
 * upper bits of a file's number say which filesystem it is on; those of the folder's own stay as they are.
 *
 * @module
 */
import { statx } from "../../ffi/file_structs.ts";

const { stx_dev_major, stx_dev_minor } = statx.offsets;
/** Filesystems that can be told apart by 16 bits. */
const MOST = 2 ** 16;
/** Where those bits are in the upper half of a file's number. */
const SHIFT = 16;

/**
 * The filesystem that a file is on.
 *
 * @param stat The file's `struct statx`
 * @returns Its device number, major and minor
 */
export function deviceOf(stat: DataView): number {
  return stat.getUint32(stx_dev_major, true) * 2 ** 32 + stat.getUint32(stx_dev_minor, true);
}

/** The filesystems that were met so far. */
export class DeviceTable {
  readonly #indices = new Map<number, number>();

  /**
   * @param root The shared folder's own
   */
  constructor(root: number) {
    this.#indices.set(root, 0);
  }

  /** Device numbers in the order in which they were met, for {@linkcode meet} after a restart. */
  get all(): number[] {
    return [...this.#indices.keys()];
  }

  /**
   * Adds a filesystem that was not met yet.
   *
   * @param device Its device number
   * @returns Its index
   */
  meet(device: number): number {
    const known = this.#indices.get(device);
    if (known !== undefined) return known;
    const index = this.#indices.size % MOST;
    this.#indices.set(device, index);
    return index;
  }

  /**
   * The upper half of a file's number as the client sees it.
   *
   * @param upper The half as the host has it
   * @param device What it is on
   */
  upper(upper: number, device: number): number {
    return (upper ^ (this.meet(device) << SHIFT)) >>> 0;
  }
}
