/**
 * Looks where a vCPU stands, in its own thread, when a kick has brought it out of KVM_RUN.
 *
 * @module
 */
import { monotonicNanoseconds } from "../../ffi/clock.ts";
import { GuestError, HostError } from "../../ffi/errors.ts";
import type { KvmRegs, KvmSregs } from "../../ffi/kvm/structs.ts";
import { readMpState, readRegs, readSregs } from "../../ffi/kvm/vcpu.ts";
import { callChain, type ChainStart, MOST_FRAMES, type ReadLinear } from "./call_chain.ts";
import type { PhysicalMemory } from "./physical_memory.ts";
import { RecordRing } from "./record_ring.ts";
import { SAMPLE_BYTES, SampleMode, SampleOffset } from "./sample_layout.ts";
import { VirtualMemory } from "./virtual_memory.ts";

/** KVM_MP_STATE_* (api.rst §4.38). */
const MP_STATE_RUNNABLE = 0;
const MP_STATE_HALTED = 3;

const CR0_PE = 1n;
const RFLAGS_VM = 1n << 17n;
const EFER_LMA = 1n << 10n;
const MASK_32 = 0xffff_ffffn;

/** The sampler of one vCPU. */
export class VcpuSampler {
  readonly #fd: number;
  readonly #memory: PhysicalMemory;
  readonly #rings: readonly RecordRing[];
  readonly #frames = new BigUint64Array(MOST_FRAMES);

  /**
   * @param fd The vCPU's descriptor
   * @param memory Guest memory
   * @param rings Rings of records of `SAMPLE_BYTES`, one for each reader
   */
  constructor(fd: number, memory: PhysicalMemory, rings: readonly SharedArrayBuffer[]) {
    this.#fd = fd;
    this.#memory = memory;
    this.#rings = rings.map((buffer) => new RecordRing(buffer, SAMPLE_BYTES));
  }

  /** KVM_RUN came back because of a kick: looks, for those readers who want a sample. */
  kicked(): void {
    for (const ring of this.#rings) {
      if (!ring.wanted) continue;
      this.#sample(ring);
      // Not before: a kick for the next one would keep the guest from running at all.
      ring.given();
    }
  }

  #sample(ring: RecordRing): void {
    const state = mpState(this.#fd);
    if (state !== MP_STATE_RUNNABLE && state !== MP_STATE_HALTED) return; // it waits for its SIPI
    const at = ring.reserve();
    if (at < 0) return;
    const regs = readRegs(this.#fd);
    const sregs = readSregs(this.#fd);
    const count = callChain(
      chainStart(regs, sregs),
      linearReader(new VirtualMemory(this.#memory, sregs)),
      this.#frames,
    );
    const view = new DataView(ring.buffer, at, SAMPLE_BYTES);
    view.setFloat64(SampleOffset.TIME, monotonicNanoseconds(), true);
    const mode = state === MP_STATE_HALTED
      ? SampleMode.IDLE
      : privilege(sregs) === 3
      ? SampleMode.USER
      : SampleMode.KERNEL;
    view.setUint32(SampleOffset.MODE, mode, true);
    view.setUint32(SampleOffset.COUNT, count, true);
    view.setBigUint64(SampleOffset.CR3, sregs.cr3, true);
    for (let i = 0; i < count; i++) {
      view.setBigUint64(SampleOffset.FRAMES + 8 * i, this.#frames[i]!, true);
    }
    ring.commit();
  }
}

function linearReader(memory: VirtualMemory): ReadLinear {
  return (address, target) => {
    try {
      memory.read(address, target);
      return true;
    } catch (error) {
      if (error instanceof GuestError) return false;
      throw error;
    }
  };
}

/** Without interrupt controllers a vCPU that does not run has ended its VM. */
function mpState(fd: number): number {
  try {
    return readMpState(fd);
  } catch (error) {
    if (error instanceof HostError) return MP_STATE_RUNNABLE;
    throw error;
  }
}

/** CPL, which is SS.DPL in protected mode (SDM vol. 3, 5.5, and KVM's own reading). */
function privilege({ cr0, ss }: KvmSregs): number {
  return (cr0 & CR0_PE) === 0n ? 0 : ss.dpl;
}

function chainStart({ rip, rsp, rbp, rflags }: KvmRegs, sregs: KvmSregs): ChainStart {
  const { cs, ss, cr0, efer } = sregs;
  if ((efer & EFER_LMA) !== 0n && cs.l !== 0) return { rip, rsp, rbp, word: 8 };
  const offset = (base: bigint, value: bigint) => (base + value) & MASK_32;
  const flat = (cr0 & CR0_PE) !== 0n && (rflags & RFLAGS_VM) === 0n && cs.db !== 0;
  return {
    rip: offset(cs.base, rip),
    rsp: offset(ss.base, rsp),
    rbp: offset(ss.base, rbp),
    // Saved frame pointers are offsets: only where segments start at 0 are they addresses too.
    word: flat && cs.base === 0n && ss.base === 0n ? 4 : 0,
  };
}
