/**
 * Terms of AML that do something: methods, what they may say, and the registers that they reach
 * (ACPI 6.5 §20.2.5).
 *
 * @module
 */
import { type Aml, integer, nameString, withPkgLength } from "./aml.ts";
import { ascii, littleEndian, sequence } from "./byte_sequence.ts";

const NOWHERE = 0x00; // NullName as a target: the result is only given

/** A method's own variables (§20.2.6.2). */
export const local0: Aml = sequence(0x60);
/** A method's arguments (§20.2.6.1). */
export const arg0: Aml = sequence(0x68);
/** The second argument. */
export const arg1: Aml = sequence(0x69);

/**
 * Method (§20.2.5.2). No two run at once: all are serialized.
 *
 * @param path Its name
 * @param args How many arguments it takes, 0 to 7
 * @param terms What it does
 * @returns DefMethod
 */
export function method(path: string, args: number, ...terms: Aml[]): Aml {
  return sequence(0x14, withPkgLength(sequence(nameString(path), args | 0x08, ...terms)));
}

/**
 * Calls a method.
 *
 * @param path Its name
 * @param args What it is called with
 * @returns MethodInvocation
 */
export function call(path: string, ...args: Aml[]): Aml {
  return sequence(nameString(path), ...args);
}

/**
 * If (§20.2.5.3), without Else.
 *
 * @param predicate Anything but 0 is true
 * @param terms What to do then
 * @returns DefIfElse
 */
export function when(predicate: Aml, ...terms: Aml[]): Aml {
  return sequence(0xa0, withPkgLength(sequence(predicate, ...terms)));
}

/**
 * Store (§20.2.5.4).
 *
 * @param value What
 * @param target Where to
 * @returns DefStore
 */
export function store(value: Aml, target: Aml): Aml {
  return sequence(0x70, value, target);
}

/**
 * And (§20.2.5.4).
 *
 * @param a One operand
 * @param b The other
 * @returns DefAnd, which gives the bits that both have
 */
export function and(a: Aml, b: Aml): Aml {
  return sequence(0x7b, a, b, NOWHERE);
}

/**
 * Notify (§20.2.5.3): tells the guest's driver of a device.
 *
 * @param path The device
 * @param value What happened (§5.6.6)
 * @returns DefNotify
 */
export function notify(path: string, value: Aml): Aml {
  return sequence(0x86, nameString(path), value);
}

/**
 * OperationRegion (§20.2.5.2) in port space.
 *
 * @param path Its name
 * @param base First port
 * @param length How many
 * @returns DefOpRegion
 */
export function portRegion(path: string, base: number, length: number): Aml {
  return sequence(0x5b, 0x80, nameString(path), 0x01, integer(base), integer(length));
}

/**
 * Field (§20.2.5.2) of 32-bit registers, one behind the other, each accessed as a whole.
 *
 * @param region The region that they lie in, from its start
 * @param registers Their names, four characters each
 * @returns DefField
 */
export function registers32(region: string, ...registers: string[]): Aml {
  const DWORD_ACCESS = 3;
  // The length is in bits, encoded as a PkgLength is: 32 fits its first byte.
  const fields = registers.map((name) => sequence(ascii(name), littleEndian(32, 1)));
  return sequence(
    0x5b,
    0x81,
    withPkgLength(sequence(nameString(region), DWORD_ACCESS, ...fields)),
  );
}
