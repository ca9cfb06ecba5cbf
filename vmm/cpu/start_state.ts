/**
 * How the first vCPU starts: what a loader says, apart from KVM's way of putting it into registers.
 *
 * @module
 */

/** General registers that a loader may set; the others start as zero. */
export type GeneralRegister =
  | "rax"
  | "rbx"
  | "rcx"
  | "rdx"
  | "rsi"
  | "rdi"
  | "rsp"
  | "rbp"
  | "r8"
  | "r9"
  | "r10"
  | "r11"
  | "r12"
  | "r13"
  | "r14"
  | "r15";

/** The state in which the first vCPU begins. */
export interface StartState {
  /**
   * - `reset`: the architecture's reset vector, F000:FFF0 below 4 GiB (firmware)
   * - `real`: 16-bit real mode at `ip` in segment `cs` (all data segments `ds`)
   * - `protected`: 32-bit flat segments, paging off
   * - `long`: 64-bit, identity-mapped by page tables at `pageTables`
   */
  readonly mode: "reset" | "real" | "protected" | "long";
  /** Instruction pointer; an offset within `cs` in real mode. */
  readonly ip: number;
  /** Real mode: CS selector, its base is 16 times that. Default 0. */
  readonly cs?: number;
  /** Real mode: DS, ES, SS, FS, GS. Default 0. */
  readonly ds?: number;
  /** Long mode: guest-physical address of the PML4. */
  readonly pageTables?: number;
  /** Guest-physical address of a GDT that the loader wrote, and its limit; selectors are Linux's (0x10, 0x18). */
  readonly gdt?: { readonly base: number; readonly limit: number };
  /** General registers. */
  readonly registers?: Readonly<Partial<Record<GeneralRegister, number>>>;
}
