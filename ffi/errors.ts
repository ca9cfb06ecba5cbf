/**
 * The family of errors hvsh throws, each with the exit status that a shell sees.
 *
 * @module
 */
import { errnoName } from "./errno.ts";

/** What every error of hvsh carries beside its message. */
export interface HvshErrorOptions extends ErrorOptions {
  /** The next step for the reader: a command to run or a thing to change. */
  hint?: string;
}

/** The base of the family; `exitStatus` is what the process ends with when nobody handles it. */
export abstract class HvshError extends Error {
  /** The process exit status this failure stands for. */
  abstract readonly exitStatus: number;
  /** The next step for the reader, if there is one. */
  readonly hint: string | undefined;

  /**
   * @param message What failed and where, upper case first, no full stop
   * @param options A cause and the next step
   */
  constructor(message: string, options: HvshErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.hint = options.hint;
  }
}

/** The words of a command line or shell line are wrong. */
export class UsageError extends HvshError {
  override readonly exitStatus = 2;
}

/** A VM document is missing, malformed or contradicts itself. */
export class DocumentError extends HvshError {
  override readonly exitStatus = 125;
}

/** A guest image (kernel, firmware, initrd…) is not what it says it is. */
export class ImageError extends HvshError {
  override readonly exitStatus = 125;
}

/** The guest asked for something outside its memory or its machine. */
export class GuestError extends HvshError {
  override readonly exitStatus = 125;
}

/** A live VM could not be found, reached or made to do what was asked. */
export class VmError extends HvshError {
  override readonly exitStatus = 125;
}

/** What a failed call to the host's kernel carries. */
export interface HostErrorOptions extends HvshErrorOptions {
  /** The file concerned. */
  path?: string;
}

/** A call to the host's kernel failed. */
export class HostError extends HvshError {
  override readonly exitStatus = 125;
  /** The call that failed, `open` or `KVM_CREATE_VM`. */
  readonly syscall: string;
  /** The error number, positive. */
  readonly errno: number;
  /** Its name, `EACCES`. */
  readonly code: string;
  /** The file concerned, if there is one. */
  readonly path: string | undefined;

  /**
   * @param syscall The call that failed
   * @param errno Its error number, positive
   * @param options The path concerned, a cause and the next step
   */
  constructor(syscall: string, errno: number, options: HostErrorOptions = {}) {
    const { code, text } = errnoName(errno);
    const where = options.path === undefined ? "" : `${options.path}: `;
    super(`${where}${syscall}: ${text} (${code})`, options);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
    this.path = options.path;
  }
}
