/**
 * The modes of the terminal that controls this process (termios(3)), in the form in which `stty` takes
 * them back.
 *
 * @module
 */
import { HostError } from "./errors.ts";
import { closeFile, openFile, OpenFlag } from "./files.ts";
import { libc } from "./libc.ts";

const TERMINAL = "/dev/tty";
/** `struct termios` of glibc and musl: four words of flags, c_line, c_cc[NCCS], two speeds. */
const TERMIOS_BYTES = 60;
const FLAG_WORDS = 4;
const C_CC = 17;
const NCCS = 32;

/**
 * Reads the terminal's modes.
 *
 * @returns What `stty -g` prints; undefined if no terminal controls this process
 */
export function terminalModes(): string | undefined {
  let fd: number;
  try {
    fd = openFile(TERMINAL, OpenFlag.RDONLY | OpenFlag.NOCTTY | OpenFlag.NONBLOCK);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
  const bytes = new Uint8Array(TERMIOS_BYTES);
  const result = libc.tcgetattr(fd, bytes);
  closeFile(fd);
  if (result < 0) return undefined;
  const flags = new Uint32Array(bytes.buffer, 0, FLAG_WORDS);
  return [...flags, ...bytes.subarray(C_CC, C_CC + NCCS)].map((n) => n.toString(16)).join(":");
}

/**
 * Whether a descriptor is a terminal (isatty(3)).
 *
 * @param fd The descriptor
 */
export function isTerminal(fd: number): boolean {
  return libc.tcgetattr(fd, new Uint8Array(TERMIOS_BYTES)) === 0;
}
