/**
 * GDB's own breakpoints and watchpoints: packets Z and z (GDB manual, E.2 "Packets").
 *
 * @module
 */
import { VmError } from "../../../ffi/errors.ts";
import type { Breakpoint, BreakpointRequest } from "../breakpoint_table.ts";
import type { Debugger } from "../debugger.ts";
import { hexNumber, PacketError } from "./hex.ts";

/** Types of points; a CPU can't watch for reads alone. */
const Type = { SOFTWARE: 0, HARDWARE: 1, WRITE: 2, ACCESS: 4 } as const;

/** The points of one connection. */
export class GdbPoints {
  readonly #debugger: Debugger;
  /** By `type,address,kind`. */
  readonly #points = new Map<string, Breakpoint>();

  /**
   * @param debug The VM's debugger
   */
  constructor(debug: Debugger) {
    this.#debugger = debug;
  }

  /**
   * Inserts a point; one that is there stays.
   *
   * @param words `TYPE,ADDR,KIND`
   * @param cpu Whose page tables count
   * @returns False for a type that there is not
   * @throws {VmError} If it can't be had
   */
  async insert(words: string, cpu: number): Promise<boolean> {
    const { key, type, address, kind } = parse(words);
    if (!isKnown(type)) return false;
    if (this.#points.has(key)) return true;
    let last: unknown;
    for (const request of requests(type, address, kind)) {
      try {
        this.#points.set(key, await this.#debugger.add({ ...request, owner: this }, cpu));
        return true;
      } catch (error) {
        if (!(error instanceof VmError)) throw error;
        last = error;
      }
    }
    throw last;
  }

  /**
   * Removes a point; one that is not there is none of its business.
   *
   * @param words `TYPE,ADDR,KIND`
   * @returns False for a type that there is not
   */
  async remove(words: string): Promise<boolean> {
    const { key, type } = parse(words);
    if (!isKnown(type)) return false;
    const point = this.#points.get(key);
    if (point === undefined) return true;
    this.#points.delete(key);
    await this.#debugger.remove(({ id }) => id === point.id);
    return true;
  }

  /** The type by which GDB has set a breakpoint; undefined if it is somebody else's. */
  typeOf(breakpoint: Breakpoint | undefined): number | undefined {
    if (breakpoint === undefined || breakpoint.owner !== this) return undefined;
    const found = [...this.#points].find(([, { id }]) => id === breakpoint.id);
    return found === undefined ? undefined : parse(found[0]).type;
  }

  /** Removes all of them. */
  async clear(): Promise<void> {
    this.#points.clear();
    await this.#debugger.remove(({ owner }) => owner === this);
  }
}

function isKnown(type: number): boolean {
  return (Object.values(Type) as number[]).includes(type);
}

function parse(words: string): { key: string; type: number; address: bigint; kind: number } {
  const [point = ""] = words.split(";", 1); // conditions and commands, which it was not offered
  const [type, address, kind, ...more] = point.split(",");
  if (more.length > 0) throw new PacketError("Too many words");
  const [typeNumber, length] = [hexNumber(type), hexNumber(kind)];
  if (length > 0xffffn) throw new PacketError("Too long");
  return {
    key: `${typeNumber.toString(16)},${hexNumber(address).toString(16)},${length.toString(16)}`,
    type: Number(typeNumber),
    address: hexNumber(address),
    kind: Number(length),
  };
}

/** What may serve as a point, the best first. */
function requests(type: number, address: bigint, length: number): BreakpointRequest[] {
  const at = { kind: "execute", address } as const;
  switch (type) {
    case Type.WRITE:
      return [{ kind: "write", address, length }];
    case Type.ACCESS:
      return [{ kind: "access", address, length }];
    case Type.HARDWARE: // where the host's KVM does not tell of debug registers a trap has to do
      return [{ ...at, how: "hardware" }, { ...at, how: "software" }];
    default: // what is not mapped yet takes no trap
      return [{ ...at, how: "software" }, { ...at, how: "hardware" }];
  }
}
