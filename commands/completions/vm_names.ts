/**
 * How a completion script asks for the names of live VMs.
 *
 * @module
 */

/** A command that prints a name a line. */
export const VM_NAMES = "hvsh list -o name 2>/dev/null";
