/**
 * Which operation a FUSE request asks for, and its reply, with no word of what the operations do or of
 * how messages come.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { ANSWER, type FuseMessage, type FuseRequest, type Operation } from "./request.ts";

/** Operations by {@linkcode Opcode}. */
export type Operations = Readonly<Record<number, Operation>>;

/** What {@linkcode FuseServer.handle} gives for a message that cannot even be refused. */
export const MALFORMED = -1;

/** Serves requests, one after the other. */
export class FuseServer {
  /** The request that is being worked on, for the operations to open their structs over. */
  readonly request: FuseRequest;
  readonly #operations: (Operation | undefined)[] = [];
  /** Replies that were errors. */
  errors = 0;

  /**
   * @param request The object that the operations know
   * @param operations What is served; anything else is answered with ENOSYS
   */
  constructor(request: FuseRequest, operations: Operations) {
    this.request = request;
    for (const [opcode, row] of Object.entries(operations)) this.#operations[Number(opcode)] = row;
  }

  /**
   * Does what a message asks for.
   *
   * @param message The message
   * @returns Bytes written as its reply, 0 if nobody waits for one; {@linkcode MALFORMED} if it has no
   *   header, or no room for an answer
   */
  handle(message: FuseMessage): number {
    const { request } = this;
    if (!request.open(message)) return MALFORMED;
    const operation = request.opcode < this.#operations.length
      ? this.#operations[request.opcode]
      : undefined;
    if (operation?.replies === false) {
      if (request.check(operation) === 0) operation.run(request);
      return 0;
    }
    if (message.writable < ANSWER) return MALFORMED;
    let result = -Errno.ENOSYS as number;
    if (operation !== undefined) {
      result = request.check(operation);
      if (result === 0) result = operation.run(request);
    }
    if (result < 0) this.errors++;
    return request.answer(result, operation?.direct === true);
  }
}
