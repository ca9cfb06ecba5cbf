/**
 * Call stacks as pprof reads them: a Profile of github.com/google/pprof, proto/profile.proto, as
 * compressed protocol buffers.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import type { CallStack } from "./call_stacks.ts";

/** What a profile says of itself. */
export interface PprofFacts {
  /** Samples a second. */
  readonly frequency: number;
  /** When it began, in nanoseconds of the epoch. */
  readonly timeNanos: bigint;
  /** How long it took. */
  readonly durationNanos: bigint;
}

/** Numbers of the messages' fields. */
const Profile = {
  SAMPLE_TYPE: 1,
  SAMPLE: 2,
  LOCATION: 4,
  FUNCTION: 5,
  STRING_TABLE: 6,
  TIME_NANOS: 9,
  DURATION_NANOS: 10,
  PERIOD_TYPE: 11,
  PERIOD: 12,
} as const;
const ValueType = { TYPE: 1, UNIT: 2 } as const;
const Sample = { LOCATION_ID: 1, VALUE: 2, LABEL: 3 } as const;
const Label = { KEY: 1, STR: 2 } as const;
const Location = { ID: 1, ADDRESS: 3, LINE: 4 } as const;
const Line = { FUNCTION_ID: 1 } as const;
const Function = { ID: 1, NAME: 2, SYSTEM_NAME: 3 } as const;

const VARINT = 0n;
const BYTES = 2n;

/** A message of protocol buffers, in the making. */
class Message {
  readonly #bytes: number[] = [];

  /** A number; 0 is the default, which is left out. */
  number(field: number, value: number | bigint): this {
    if (BigInt(value) === 0n) return this;
    this.#varint(BigInt(field) << 3n | VARINT);
    this.#varint(BigInt(value));
    return this;
  }

  /** Numbers, packed. */
  numbers(field: number, values: readonly (number | bigint)[]): this {
    const packed = new Message();
    for (const value of values) packed.#varint(BigInt(value));
    return this.message(field, packed);
  }

  /** Text. */
  text(field: number, text: string): this {
    return this.#data(field, new TextEncoder().encode(text));
  }

  /** Another message. */
  message(field: number, { bytes }: Message): this {
    return this.#data(field, bytes);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(this.#bytes);
  }

  #data(field: number, data: Uint8Array): this {
    this.#varint(BigInt(field) << 3n | BYTES);
    this.#varint(BigInt(data.length));
    for (const byte of data) this.#bytes.push(byte);
    return this;
  }

  #varint(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes.push(Number(rest & 0x7fn) | 0x80);
    this.#bytes.push(Number(rest));
  }
}

/** Gives each of some things a number, in the order in which they first come. */
class Numbering<T> {
  readonly #numbers = new Map<string, number>();
  readonly things: T[] = [];
  readonly #first: number;

  constructor(first: number) {
    this.#first = first;
  }

  of(key: string, thing: T): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#first + this.things.push(thing) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/**
 * Writes stacks.
 *
 * @param stacks The stacks
 * @param facts What the profile says of itself
 * @returns The bytes of a `.pb.gz` file
 */
export function pprof(stacks: readonly CallStack[], facts: PprofFacts): Uint8Array<ArrayBuffer> {
  const strings = new Numbering<string>(0);
  const text = (value: string) => strings.of(value, value);
  text(""); // string_table[0] is always empty
  const functions = new Numbering<string>(1);
  const locations = new Numbering<{ address: bigint; function: number }>(1);
  const period = Math.round(1e9 / facts.frequency);
  const valueType = (type: string, unit: string) =>
    new Message().number(ValueType.TYPE, text(type)).number(ValueType.UNIT, text(unit));

  const profile = new Message()
    .message(Profile.SAMPLE_TYPE, valueType("samples", "count"))
    .message(Profile.SAMPLE_TYPE, valueType("cpu", "nanoseconds"));
  for (const { frames, mode, samples } of stacks) {
    const ids = frames.toReversed().map(({ name, address = 0n }) =>
      locations.of(`${address} ${name}`, { address, function: functions.of(name, name) })
    );
    profile.message(
      Profile.SAMPLE,
      new Message()
        .numbers(Sample.LOCATION_ID, ids)
        .numbers(Sample.VALUE, [samples, samples * period])
        .message(
          Sample.LABEL,
          new Message().number(Label.KEY, text("mode")).number(Label.STR, text(mode)),
        ),
    );
  }
  locations.things.forEach((location, i) =>
    profile.message(
      Profile.LOCATION,
      new Message()
        .number(Location.ID, i + 1)
        .number(Location.ADDRESS, location.address)
        .message(Location.LINE, new Message().number(Line.FUNCTION_ID, location.function)),
    )
  );
  functions.things.forEach((name, i) =>
    profile.message(
      Profile.FUNCTION,
      new Message()
        .number(Function.ID, i + 1)
        .number(Function.NAME, text(name))
        .number(Function.SYSTEM_NAME, text(name)),
    )
  );
  profile.message(Profile.PERIOD_TYPE, valueType("cpu", "nanoseconds"))
    .number(Profile.PERIOD, period)
    .number(Profile.TIME_NANOS, facts.timeNanos)
    .number(Profile.DURATION_NANOS, facts.durationNanos);
  for (const string of strings.things) profile.text(Profile.STRING_TABLE, string);
  return Uint8Array.from(gzipSync(profile.bytes));
}
