/**
 * Where the XSAVE area has which register, in its standard format (SDM vol. 1, 13.4). The first 512 bytes
 * are FXSAVE's; what the extended components have is told by CPUID leaf 0xd.
 *
 * @module
 */
import type { CpuidEntry } from "../../ffi/kvm/cpuid.ts";
import type { AreaRegister } from "./area_register.ts";

const XSAVE_LEAF = 0xd;
/** State components (SDM vol. 1, 13.1). */
const Component = {
  X87: 0,
  SSE: 1,
  AVX: 2,
  OPMASK: 5,
  ZMM_HI256: 6,
  HI16_ZMM: 7,
  PKRU: 9,
} as const;
const XMM = 160;
const ST = 32;
/** XSTATE_BV: which components are not in their initial state. */
export const XSTATE_BV = 512;

/** The registers of the XSAVE area, by group. */
export interface XsaveRegisters {
  readonly fpu: readonly XsaveRegister[];
  readonly sse: readonly XsaveRegister[];
  readonly avx: readonly XsaveRegister[];
  readonly avx512: readonly XsaveRegister[];
}

/** A register, and the bits of XSTATE_BV that its pieces belong to. */
export interface XsaveRegister extends AreaRegister {
  readonly components: number;
}

/**
 * The registers that a CPU has.
 *
 * @param cpuid What CPUID gives it
 * @param areaSize Bytes of the area; what leaf 0xd says to be beyond is left out
 * @returns Registers and their places
 */
export function xsaveRegisters(cpuid: readonly CpuidEntry[], areaSize: number): XsaveRegisters {
  const offset = (component: number) => {
    const leaf = cpuid.find((e) => e.function === XSAVE_LEAF && e.index === component);
    return leaf === undefined || leaf.eax === 0 || leaf.ebx + leaf.eax > areaSize
      ? undefined
      : leaf.ebx;
  };
  const register = (
    name: string,
    components: readonly number[],
    ...pieces: readonly (readonly [offset: number, size: number])[]
  ): XsaveRegister => ({
    name,
    pieces: pieces.map(([offset, size]) => ({ offset, size })),
    components: components.reduce((mask, component) => mask | 1 << component, 0),
  });
  const many = (count: number, make: (i: number) => XsaveRegister) =>
    Array.from({ length: count }, (_, i) => make(i));

  const { X87, SSE, AVX, OPMASK, ZMM_HI256, HI16_ZMM, PKRU } = Component;
  const high = offset(AVX);
  const masks = offset(OPMASK);
  const high256 = offset(ZMM_HI256);
  const high16 = offset(HI16_ZMM);
  const keys = offset(PKRU);
  return {
    fpu: [
      register("fcw", [X87], [0, 2]),
      register("fsw", [X87], [2, 2]),
      register("ftw", [X87], [4, 1]), // abridged: a bit a register, 0 is empty
      register("fop", [X87], [6, 2]),
      register("fip", [X87], [8, 8]),
      register("fdp", [X87], [16, 8]),
      ...many(8, (i) => register(`st${i}`, [X87], [ST + 16 * i, 10])),
    ],
    sse: [
      register("mxcsr", [SSE], [24, 4]),
      ...many(16, (i) => register(`xmm${i}`, [SSE], [XMM + 16 * i, 16])),
    ],
    avx: [
      ...(high === undefined ? [] : many(
        16,
        (i) => register(`ymm${i}`, [SSE, AVX], [XMM + 16 * i, 16], [high + 16 * i, 16]),
      )),
      ...(keys === undefined ? [] : [register("pkru", [PKRU], [keys, 4])]),
    ],
    avx512: [
      ...(masks === undefined
        ? []
        : many(8, (i) => register(`k${i}`, [OPMASK], [masks + 8 * i, 8]))),
      ...(high === undefined || high256 === undefined
        ? []
        : many(16, (i) =>
          register(`zmm${i}`, [SSE, AVX, ZMM_HI256], [XMM + 16 * i, 16], [high + 16 * i, 16], [
            high256 + 32 * i,
            32,
          ]))),
      ...(high16 === undefined
        ? []
        : many(16, (i) => register(`zmm${16 + i}`, [HI16_ZMM], [high16 + 64 * i, 64]))),
    ],
  };
}
