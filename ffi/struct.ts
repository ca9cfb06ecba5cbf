/**
 * Layouts of C structs: one declaration gives typed accessors over a DataView, size, offsets, and
 * JSON both ways. It serves the kernel's ABI, boot tables and device state alike.
 *
 * Offsets follow the C rules of the System V ABI (natural alignment) unless `packed` is set.
 *
 * @module
 */

/** How one field lies in memory, and how it is read, written and shown. */
export interface Field<T> {
  /** Bytes that it takes. */
  readonly size: number;
  /** Its alignment in bytes, a power of two. */
  readonly align: number;
  /** Reads the field at a byte offset of the view. */
  get(view: DataView, offset: number): T;
  /** Writes the field at a byte offset of the view. */
  set(view: DataView, offset: number, value: T): void;
  /** The field as JSON: numbers up to 32 bits, `"0x…"` for 64, hex text for bytes. */
  toJson(value: T): Json;
  /** Writes the field from what {@linkcode toJson} gave; throws `TypeError` on anything else. */
  fromJson(view: DataView, offset: number, json: Json, path: string): void;
}

/** JSON, as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | { [key: string]: Json };

function scalar(
  size: number,
  max: number,
  min: number,
  get: (view: DataView, offset: number) => number,
  set: (view: DataView, offset: number, value: number) => void,
): Field<number> {
  return {
    size,
    align: size,
    get,
    set,
    toJson: (value) => value,
    fromJson(view, offset, json, path) {
      if (typeof json !== "number" || !Number.isInteger(json) || json < min || json > max) {
        throw new TypeError(`${path} is not a whole number from ${min} to ${max}`);
      }
      set(view, offset, json);
    },
  };
}

function wide(littleEndian: boolean): Field<bigint> {
  return {
    size: 8,
    align: 8,
    get: (view, offset) => view.getBigUint64(offset, littleEndian),
    set: (view, offset, value) => view.setBigUint64(offset, value, littleEndian),
    toJson: (value) => `0x${value.toString(16)}`,
    fromJson(view, offset, json, path) {
      if (typeof json !== "string" || !/^0x[0-9a-f]{1,16}$/i.test(json)) {
        throw new TypeError(`${path} is not a 64-bit number written as "0x…"`);
      }
      view.setBigUint64(offset, BigInt(json), littleEndian);
    },
  };
}

/** `__u8` */
export const u8: Field<number> = scalar(
  1,
  0xff,
  0,
  (v, o) => v.getUint8(o),
  (v, o, x) => v.setUint8(o, x),
);
/** `__u16`, little-endian */
export const u16: Field<number> = scalar(
  2,
  0xffff,
  0,
  (v, o) => v.getUint16(o, true),
  (v, o, x) => v.setUint16(o, x, true),
);
/** `__u32`, little-endian */
export const u32: Field<number> = scalar(
  4,
  0xffff_ffff,
  0,
  (v, o) => v.getUint32(o, true),
  (v, o, x) => v.setUint32(o, x, true),
);
/** `__s16`, little-endian */
export const i16: Field<number> = scalar(
  2,
  0x7fff,
  -0x8000,
  (v, o) => v.getInt16(o, true),
  (v, o, x) => v.setInt16(o, x, true),
);
/** `__s32`, little-endian */
export const i32: Field<number> = scalar(
  4,
  0x7fff_ffff,
  -0x8000_0000,
  (v, o) => v.getInt32(o, true),
  (v, o, x) => v.setInt32(o, x, true),
);
/**
 * `double`, for host-side times in milliseconds that are part of a device's state. JSON has no word
 * for infinity, which a deadline may be: it is the text `"Infinity"` there.
 */
export const f64: Field<number> = {
  size: 8,
  align: 8,
  get: (v, o) => v.getFloat64(o, true),
  set: (v, o, x) => v.setFloat64(o, x, true),
  toJson: (value) => Number.isFinite(value) ? value : String(value),
  fromJson(view, offset, json, path) {
    const value = typeof json === "string" && /^(-?Infinity|NaN)$/.test(json) ? Number(json) : json;
    if (typeof value !== "number") throw new TypeError(`${path} is not a number`);
    view.setFloat64(offset, value, true);
  },
};
/** `__u64` as a bigint: registers, MSRs, anything whose 64 bits are data. */
export const u64: Field<bigint> = wide(true);
/** A big-endian `__u64`. */
export const u64be: Field<bigint> = wide(false);
/** `__u64` as a number: addresses and sizes, exact to 2^53. */
export const addr64: Field<number> = {
  size: 8,
  align: 8,
  get: (v, o) => v.getUint32(o, true) + v.getUint32(o + 4, true) * 0x1_0000_0000,
  set(v, o, x) {
    v.setUint32(o, x % 0x1_0000_0000, true);
    v.setUint32(o + 4, Math.floor(x / 0x1_0000_0000), true);
  },
  toJson: (value) => value,
  fromJson(view, offset, json, path) {
    if (typeof json !== "number" || !Number.isSafeInteger(json) || json < 0) {
      throw new TypeError(`${path} is not a whole number from 0 to 2^53-1`);
    }
    this.set(view, offset, json);
  },
};
/** A big-endian `__u16`. */
export const u16be: Field<number> = scalar(
  2,
  0xffff,
  0,
  (v, o) => v.getUint16(o),
  (v, o, x) => v.setUint16(o, x),
);
/** A big-endian `__u32`. */
export const u32be: Field<number> = scalar(
  4,
  0xffff_ffff,
  0,
  (v, o) => v.getUint32(o),
  (v, o, x) => v.setUint32(o, x),
);

/**
 * `__u8 name[length]`: a live view of the bytes; JSON shows them as hex text.
 *
 * @param length How many bytes
 * @returns The field
 */
export function bytes(length: number): Field<Uint8Array> {
  const at = (view: DataView, offset: number) =>
    new Uint8Array(view.buffer, view.byteOffset + offset, length);
  return {
    size: length,
    align: 1,
    get: at,
    set: (view, offset, value) => at(view, offset).set(value),
    toJson: (value) => Array.from(value, (b) => b.toString(16).padStart(2, "0")).join(""),
    fromJson(view, offset, json, path) {
      if (typeof json !== "string" || !/^([0-9a-f]{2})*$/i.test(json)) {
        throw new TypeError(`${path} is not hex text`);
      }
      if (json.length !== length * 2) throw new TypeError(`${path} is not ${length} bytes long`);
      const target = at(view, offset);
      for (let i = 0; i < length; i++) target[i] = parseInt(json.slice(i * 2, i * 2 + 2), 16);
    },
  };
}

/** An array inside a struct; elements are read in place. */
export interface StructArray<T> extends Iterable<T> {
  /** How many elements it has. */
  readonly length: number;
  /** Reads element `index`; throws `RangeError` outside 0 to length-1. */
  at(index: number): T;
  /** Writes element `index`; throws `RangeError` outside 0 to length-1. */
  set(index: number, value: T): void;
}

/**
 * `type name[length]` of numbers or structs.
 *
 * @param element The type of one element
 * @param length How many
 * @returns The field
 */
export function array<T>(element: Field<T>, length: number): Field<StructArray<T>> {
  const stride = Math.ceil(element.size / element.align) * element.align;
  const open = (view: DataView, offset: number): StructArray<T> => {
    const place = (index: number) => {
      if (!Number.isInteger(index) || index < 0 || index >= length) {
        throw new RangeError(`Index ${index} is outside 0 to ${length - 1}`);
      }
      return offset + index * stride;
    };
    return {
      length,
      at: (index) => element.get(view, place(index)),
      set: (index, value) => element.set(view, place(index), value),
      *[Symbol.iterator]() {
        for (let i = 0; i < length; i++) yield element.get(view, offset + i * stride);
      },
    };
  };
  return {
    size: stride * length,
    align: element.align,
    get: open,
    set(view, offset, value) {
      for (let i = 0; i < length; i++) element.set(view, offset + i * stride, value.at(i));
    },
    toJson: (value) => Array.from(value, (item) => element.toJson(item)),
    fromJson(view, offset, json, path) {
      if (!Array.isArray(json) || json.length !== length) {
        throw new TypeError(`${path} is not an array of ${length}`);
      }
      json.forEach((item: Json, i) =>
        element.fromJson(view, offset + i * stride, item, `${path}[${i}]`)
      );
    },
  };
}

type Fields = Record<string, Field<unknown>>;
// deno-lint-ignore no-explicit-any -- Field is invariant in T, so only `any` admits every field
type AnyFields = Record<string, Field<any>>;
type Values<F extends AnyFields> = { [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** What every struct instance has beside its fields. */
export interface StructInstance {
  /** The view that it reads and writes. */
  readonly view: DataView;
  /** Where in the view it starts. */
  readonly offset: number;
  /** All fields by name, as JSON. */
  toJSON(): { [key: string]: Json };
  /** Writes the named fields from JSON; throws `TypeError` naming the field at fault. */
  fromJSON(json: Json): void;
  /** The struct's own bytes, a live view. */
  bytes(): Uint8Array<ArrayBuffer>;
}

/** A struct's class: construct it over memory, or empty; it is also a {@linkcode Field}. */
export interface StructType<F extends AnyFields> extends Field<Values<F> & StructInstance> {
  /** Opens the struct over a view at an offset, or over fresh zeroed memory. */
  new (view?: DataView, offset?: number): Values<F> & StructInstance;
  /** Its C name. */
  readonly structName: string;
  /** Byte offset of each field. */
  readonly offsets: { readonly [K in keyof F]: number };
  /** Type of each field. */
  readonly fields: F;
}

/** An instance of a struct type. */
export type Struct<T> = T extends StructType<infer F> ? Values<F> & StructInstance : never;

/** Names that a field would hide, or be hidden by. */
const OWN_MEMBERS: ReadonlySet<string> = new Set<keyof StructInstance>([
  "view",
  "offset",
  "bytes",
  "toJSON",
  "fromJSON",
]);

/**
 * Declares a struct's layout.
 *
 * @param structName The C name, for messages and for the check against C headers
 * @param fields Names and types in order of declaration
 * @param options `packed` leaves out the alignment padding; `size` sets a size above the fields' own
 * @returns A class of accessors
 * @throws {TypeError} If a field has the name of a member of {@linkcode StructInstance}
 * @throws {RangeError} If the fields need more than `size`
 * @example
 * ```ts
 * import { struct, u16, u64 } from "./struct.ts";
 *
 * const Point = struct("point", { x: u16, y: u64 });
 * const point = new Point();
 * point.x = 7;
 * console.log(Point.size, Point.offsets.y, JSON.stringify(point)); // 16 8 {"x":7,"y":"0x0"}
 * ```
 */
export function struct<F extends AnyFields>(
  structName: string,
  fields: F,
  options: { packed?: boolean; size?: number } = {},
): StructType<F> {
  const offsets: Record<string, number> = {};
  let end = 0;
  let align = 1;
  for (const [name, field] of Object.entries(fields as Fields)) {
    if (OWN_MEMBERS.has(name)) {
      throw new TypeError(`struct ${structName} cannot have a field "${name}": it is a member`);
    }
    const step = options.packed ? 1 : field.align;
    end = Math.ceil(end / step) * step;
    offsets[name] = end;
    end += field.size;
    align = Math.max(align, step);
  }
  const size = options.size ?? Math.ceil(end / align) * align;
  if (size < end) throw new RangeError(`struct ${structName} needs ${end} bytes, not ${size}`);

  class Layout implements StructInstance {
    static readonly structName = structName;
    static readonly offsets = offsets;
    static readonly fields = fields;
    static readonly size = size;
    static readonly align = align;
    static get(view: DataView, offset: number) {
      return new Layout(view, offset);
    }
    static set(view: DataView, offset: number, value: StructInstance) {
      new Uint8Array(view.buffer, view.byteOffset + offset, size).set(value.bytes());
    }
    static toJson(value: StructInstance) {
      return value.toJSON();
    }
    static fromJson(view: DataView, offset: number, json: Json, path: string) {
      new Layout(view, offset).#assign(json, path);
    }

    readonly view: DataView;
    readonly offset: number;

    constructor(view: DataView = new DataView(new ArrayBuffer(size)), offset = 0) {
      if (offset < 0 || offset + size > view.byteLength) {
        throw new RangeError(
          `struct ${structName} (${size} bytes) at ${offset} ends outside its ${view.byteLength} bytes`,
        );
      }
      this.view = view;
      this.offset = offset;
    }

    toJSON() {
      const json: { [key: string]: Json } = {};
      for (const [name, field] of Object.entries(fields as Fields)) {
        json[name] = field.toJson(field.get(this.view, this.offset + offsets[name]!));
      }
      return json;
    }

    fromJSON(json: Json) {
      this.#assign(json, structName);
    }

    bytes() {
      return new Uint8Array(
        this.view.buffer as ArrayBuffer,
        this.view.byteOffset + this.offset,
        size,
      );
    }

    #assign(json: Json, path: string) {
      if (json === null || typeof json !== "object" || Array.isArray(json)) {
        throw new TypeError(`${path} is not an object`);
      }
      for (const [name, value] of Object.entries(json as { [key: string]: Json })) {
        const field = Object.hasOwn(fields, name) ? (fields as Fields)[name] : undefined;
        if (field === undefined) throw new TypeError(`${path} has no field "${name.slice(0, 64)}"`);
        field.fromJson(this.view, this.offset + offsets[name]!, value, `${path}.${name}`);
      }
    }
  }

  for (const [name, field] of Object.entries(fields as Fields)) {
    const at = offsets[name]!;
    Object.defineProperty(Layout.prototype, name, {
      enumerable: true,
      get(this: Layout) {
        return field.get(this.view, this.offset + at);
      },
      set(this: Layout, value: unknown) {
        field.set(this.view, this.offset + at, value);
      },
    });
  }
  return Layout as unknown as StructType<F>;
}
