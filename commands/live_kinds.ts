/**
 * Kinds of words that only a live VM or the host knows: to the parser text, to completion a question.
 *
 * @module
 */

/** All of them. */
export const liveKinds = [
  /** A live VM's name; those of the states that the verb is for come first in mind. */
  "vm",
  "paused-vm",
  "running-vm",
  /** A device of the VM that is named before, and what it can be told. */
  "device",
  "device-word",
  "device-value",
  /** A verb that adds a device, and behind it that verb's words. */
  "device-verb",
  /** A register, one with its new value (`rip=0x1000`), a group of them. */
  "register",
  "register-setting",
  "register-group",
  /** An address, or a symbol of the guest's kernel. */
  "symbol",
  /** C's operators over registers and symbols. */
  "condition",
] as const;

/** One of them. */
export type LiveKind = typeof liveKinds[number];

/**
 * Whether a kind is a VM's name.
 *
 * @param kind Any kind
 */
export function isVmKind(kind: unknown): boolean {
  return kind === "vm" || kind === "paused-vm" || kind === "running-vm";
}
