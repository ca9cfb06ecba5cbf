/**
 * KVM's own figures of a VM or a vCPU (api.rst, KVM_GET_STATS_FD): a file that says which figures there
 * are, and then their values.
 *
 *     header            where the rest is
 *     id                "kvm-812/vcpu-0"
 *     descriptors       kind, unit, exponent, how many values, where, name
 *     data              the values, each a __u64
 *
 * Header and descriptors never change, so they are read once; the values are read again and again, and
 * reading them waits for nobody.
 *
 * @module
 */
import { HostError } from "../errors.ts";
import { closeFile } from "../files.ts";
import { errno, libc } from "../libc.ts";
import { i16, struct, u16, u32 } from "../struct.ts";
import { call } from "./call.ts";

export const kvm_stats_header = struct("kvm_stats_header", {
  flags: u32,
  name_size: u32,
  num_desc: u32,
  id_offset: u32,
  desc_offset: u32,
  data_offset: u32,
});

/** A descriptor's start; its name follows. The header calls `position` `offset`. */
export const kvm_stats_desc = struct("kvm_stats_desc", {
  flags: u32,
  exponent: i16,
  size: u16,
  position: u32,
  bucket_size: u32,
});

/** What a figure's values mean, by bits 0 to 3 of its flags. */
const KINDS = ["cumulative", "instant", "peak", "linear_histogram", "log_histogram"] as const;
/** Their unit, by bits 4 to 7. */
const UNITS = ["none", "bytes", "seconds", "cycles", "boolean"] as const;
/** KVM_STATS_BASE_POW2, of bits 8 to 11. */
const BASE_POW2 = 1;

/** Far above what any KVM has; a file that says more is no such file. */
const MOST_BYTES = 1 << 20;

/** One figure. */
export interface StatsFigure {
  /** The kernel's name: `exits`, `halt_wait_ns`. */
  readonly name: string;
  /** Whether it only grows, stands for now, is the most so far, or counts by buckets. */
  readonly kind: typeof KINDS[number];
  /** The unit of a value times {@linkcode scale}. */
  readonly unit: typeof UNITS[number];
  /** By what to multiply a value. */
  readonly scale: number;
  /** Width of a bucket of a linear histogram; 0 elsewhere. */
  readonly bucketSize: number;
  /** How many values it has: 1, or as many as a histogram has buckets. */
  readonly count: number;
  /** Byte offset of its values in the data. */
  readonly at: number;
}

/** What a stats file holds. */
export interface StatsLayout {
  /** The figures, in the kernel's order. */
  readonly figures: readonly StatsFigure[];
  /** Byte offset of the data in the file. */
  readonly dataOffset: number;
  /** Bytes of the data. */
  readonly dataSize: number;
}

/**
 * Reads what a stats file holds.
 *
 * @param file The file's bytes up to the end of its descriptors
 * @returns Its figures; those of a kind or unit that this version does not know are left out
 * @throws {RangeError} If it contradicts itself
 */
export function parseStatsLayout(file: Uint8Array<ArrayBuffer>): StatsLayout {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const header = new kvm_stats_header(view);
  const { name_size, num_desc, desc_offset, data_offset } = header;
  const stride = kvm_stats_desc.size + name_size;
  const end = desc_offset + num_desc * stride;
  if (end > file.length || data_offset > MOST_BYTES) {
    throw new RangeError(`Cannot read KVM's figures: ${num_desc} of them end beyond the file`);
  }
  const figures: StatsFigure[] = [];
  let dataSize = 0;
  for (let at = desc_offset; at < end; at += stride) {
    const { flags, exponent, size, position, bucket_size } = new kvm_stats_desc(view, at);
    const kind = KINDS[flags & 0xf];
    const unit = UNITS[flags >>> 4 & 0xf];
    const base = (flags >>> 8 & 0xf) === BASE_POW2 ? 2 : 10;
    if (position % 8 !== 0 || position + 8 * size > MOST_BYTES) {
      throw new RangeError(`Cannot read KVM's figures: one lies at ${position} of its data`);
    }
    if (kind === undefined || unit === undefined || size === 0) continue;
    const name = cName(file, at + kvm_stats_desc.size, name_size);
    const scale = exponent < 0 ? 1 / base ** -exponent : base ** exponent;
    figures.push({ name, kind, unit, scale, bucketSize: bucket_size, count: size, at: position });
    dataSize = Math.max(dataSize, position + 8 * size);
  }
  return { figures, dataOffset: data_offset, dataSize };
}

/** Bytes of a stats file up to the end of its descriptors. */
function layoutSize(start: Uint8Array<ArrayBuffer>): number {
  const { name_size, num_desc, desc_offset } = new kvm_stats_header(new DataView(start.buffer));
  return desc_offset + num_desc * (kvm_stats_desc.size + name_size);
}

function cName(file: Uint8Array<ArrayBuffer>, at: number, size: number): string {
  const bytes = file.subarray(at, at + size);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** A figure's value as it stands: one number, or one for each bucket. Beyond 2^53 they are rounded. */
export type StatsValue = number | readonly number[];

/** The figures of one VM or vCPU. */
export class KvmStats implements Disposable {
  /** What there is. */
  readonly layout: StatsLayout;
  readonly #fd: number;
  readonly #data: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;

  /**
   * Opens them. For a vCPU it blocks while another thread is in KVM_RUN; reading does not.
   *
   * @param fd The VM's or vCPU's descriptor
   * @throws {HostError} If this KVM has none (Linux before 5.14), or no descriptor is left
   */
  constructor(fd: number) {
    this.#fd = call(fd, "GET_STATS_FD");
    try {
      const start = this.#read(kvm_stats_header.size, 0);
      this.layout = parseStatsLayout(this.#read(Math.min(layoutSize(start), MOST_BYTES), 0));
    } catch (error) {
      closeFile(this.#fd);
      throw error;
    }
    this.#data = new Uint8Array(this.layout.dataSize);
    this.#view = new DataView(this.#data.buffer);
  }

  /**
   * Reads the values as they are now.
   *
   * @returns Each figure's value by its name
   * @throws {HostError} If the kernel does not give them
   */
  read(): Record<string, StatsValue> {
    this.#fill(this.#data, this.layout.dataOffset);
    return Object.fromEntries(this.layout.figures.map(({ name, count, at }) => {
      const values = Array.from({ length: count }, (_, i) => this.#u64(at + 8 * i));
      return [name, count === 1 ? values[0]! : values];
    }));
  }

  #u64(at: number): number {
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  #read(length: number, at: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    this.#fill(bytes, at);
    return bytes;
  }

  #fill(bytes: Uint8Array<ArrayBuffer>, at: number): void {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      const count = Number(
        libc.pread(this.#fd, rest, BigInt(rest.length), BigInt(at + done)),
      );
      if (count < 0) throw new HostError("pread of KVM's figures", errno());
      if (count === 0) throw new RangeError("Cannot read KVM's figures: the file ends early");
      done += count;
    }
  }

  [Symbol.dispose](): void {
    closeFile(this.#fd);
  }
}
