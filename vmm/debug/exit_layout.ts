/**
 * One exit as a vCPU's thread records it: 48 bytes, two doubles and eight words.
 *
 *     byte  0  double  nanoseconds of CLOCK_MONOTONIC when KVM_RUN came back
 *     byte  8  double  nanoseconds until it was answered
 *     byte 16  u32     exit reason
 *     byte 20  u32     bytes of the access in bits 0 to 7; bit 8 if the guest wrote
 *     byte 24  u32     how many elements: 1 but for `rep ins` and `rep outs`
 *     byte 28  u32     lock of the device that answered; 0 for nobody
 *     byte 32  u64     port, guest-physical address or MSR
 *     byte 40  u64     value, of the first element
 *
 * @module
 */

/** Bytes of a record. */
export const EXIT_BYTES = 48;
/** Indices of its doubles. */
export const ExitDouble = { TIME: 0, TOOK: 1 } as const;
/** Indices of its words. */
export const ExitWord = {
  REASON: 4,
  ACCESS: 5,
  COUNT: 6,
  DEVICE: 7,
  ADDRESS: 8,
  VALUE: 10,
} as const;
/** The guest wrote, in {@linkcode ExitWord.ACCESS}. */
export const ACCESS_WRITE = 0x100;
