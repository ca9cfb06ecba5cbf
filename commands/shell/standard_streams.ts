/**
 * The descriptors that the shell itself was started with.
 *
 * @module
 */
import { openFile, OpenFlag } from "../../ffi/files.ts";
import { isTerminal } from "../../ffi/terminal_modes.ts";
import { Streams } from "./streams.ts";

const STANDARD = [0, 1, 2] as const;

/**
 * The process's own streams.
 *
 * @param inputIsLines Whether stdin is where the lines come from, so that commands have nothing there
 * @returns They
 */
export function standardStreams(inputIsLines: boolean): Streams {
  const descriptors = new Map<number, number>(STANDARD.map((fd) => [fd, fd]));
  const nobody = inputIsLines && !isTerminal(0);
  if (nobody) descriptors.set(0, openFile("/dev/null", OpenFlag.RDONLY));
  return new Streams(descriptors, !inputIsLines);
}
