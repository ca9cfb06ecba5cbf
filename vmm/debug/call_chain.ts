/**
 * Who called whom, by frame pointers (System V ABI x86-64, §3.2.2): RBP points to the caller's RBP, and
 * behind that lies the return address. A guest may put anything there, and code without frame
 * pointers does, so a step counts only if it goes up the stack, not far, to an address behind a call.
 *
 * @module
 */

/** How many frames are followed. */
export const MOST_FRAMES = 64;
/** Larger frames are none. */
const MOST_FRAME_BYTES = 1n << 20n;
/** The longest near call: FF /2 with SIB and disp32 (SDM vol. 2, CALL). */
const LONGEST_CALL = 7;

/** Where a chain starts; addresses are linear. */
export interface ChainStart {
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly rbp: bigint;
  /** Bytes of a word on the stack: 8 in long mode, 4 in protected mode, 0 where no frames are known. */
  readonly word: 0 | 4 | 8;
}

/** Copies bytes at a linear address; false if they are not all there. */
export type ReadLinear = (address: bigint, target: Uint8Array<ArrayBuffer>) => boolean;

/**
 * Follows a chain.
 *
 * @param start Where
 * @param read Reads the guest's memory
 * @param frames Takes the addresses, the innermost first; as many as it holds at most
 * @returns How many there are, at least one
 */
export function callChain(start: ChainStart, read: ReadLinear, frames: BigUint64Array): number {
  frames[0] = BigInt.asUintN(64, start.rip);
  const { word } = start;
  if (word === 0) return 1;
  const pair = new DataView(new ArrayBuffer(2 * word));
  const bytes = new Uint8Array(pair.buffer);
  const at = (offset: number) =>
    word === 8 ? pair.getBigUint64(offset, true) : BigInt(pair.getUint32(offset, true));
  let below = start.rsp;
  let frame = start.rbp;
  let count = 1;
  while (count < Math.min(frames.length, MOST_FRAMES)) {
    if (frame % BigInt(word) !== 0n || frame < below || frame - below > MOST_FRAME_BYTES) break;
    if (!read(frame, bytes)) break;
    const address = at(word);
    if (!followsCall(address, read)) break;
    frames[count++] = address;
    below = frame + BigInt(2 * word);
    frame = at(0);
  }
  return count;
}

/** Whether a call instruction ends at an address, as one does before each return address. */
function followsCall(address: bigint, read: ReadLinear): boolean {
  const code = new Uint8Array(LONGEST_CALL);
  if (address < BigInt(LONGEST_CALL) || !read(address - BigInt(LONGEST_CALL), code)) return false;
  if (code[LONGEST_CALL - 5] === 0xe8) return true; // CALL rel32
  for (let length = 2; length <= LONGEST_CALL; length++) {
    const start = LONGEST_CALL - length;
    if (code[start] !== 0xff) continue;
    if (indirectCallLength(code[start + 1]!, code[start + 2] ?? 0) === length) return true;
  }
  return false;
}

/** Bytes of `FF /2` by its ModRM and SIB; 0 if it is another instruction. */
function indirectCallLength(modrm: number, sib: number): number {
  if ((modrm >> 3 & 7) !== 2) return 0;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return 2;
  const bySib = rm === 4;
  const base = bySib ? 3 : 2;
  if (mod === 1) return base + 1;
  if (mod === 2) return base + 4;
  return (bySib ? (sib & 7) === 5 : rm === 5) ? base + 4 : base;
}
