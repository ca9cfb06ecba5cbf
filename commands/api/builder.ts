/**
 * The builder verbs as methods: each gives a new builder, none changes the one it is called on.
 *
 * @module
 */
import { type MemoryEntry, parseDocument, type VmDocument } from "../../vmm/document.ts";
import { Machine } from "../../vmm/machine.ts";
import { parseAddress, parseSize } from "../../vmm/size.ts";
import type { Verb, Words } from "../verb.ts";
import { verb as cmdlineVerb } from "../verbs/cmdline.ts";
import { verb as cpuVerb } from "../verbs/cpu.ts";
import { verb as createVerb } from "../verbs/create.ts";
import { verb as deviceVerb } from "../verbs/device.ts";
import { verb as firmwareVerb } from "../verbs/firmware.ts";
import { verb as flatVerb } from "../verbs/flat.ts";
import { verb as initrdVerb } from "../verbs/initrd.ts";
import { verb as kernelVerb } from "../verbs/kernel.ts";
import { verb as multibootVerb } from "../verbs/multiboot.ts";
import { verb as serialVerb } from "../verbs/serial.ts";
import { Vm } from "./vm.ts";

/** What a VM begins with. */
export interface CreateOptions {
  /** RAM: bytes, or text such as `"256M"`. Default 256 MiB. */
  readonly memory?: number | string;
  /** How many vCPUs, 1 to 255. Default 1. */
  readonly cpus?: number;
  /** Its name: letters, digits and `. _ -`, at most 64. */
  readonly name?: string;
}

/** A VM that is being described. */
export class VmBuilder {
  /** The document so far. */
  readonly document: VmDocument;

  /**
   * @param document The document so far
   */
  constructor(document: VmDocument) {
    this.document = document;
  }

  /**
   * Boots bytes at an address.
   *
   * @param image The bytes, or a file's path
   * @param options `base` is the guest-physical address (default 0x7c00), `mode` the CPU's mode
   *   (default `real`), `entry` the first instruction (default the first image's base)
   * @returns A new builder
   */
  flat(
    image: Uint8Array | string,
    options: {
      base?: number | string;
      mode?: "real" | "protected" | "long";
      entry?: number | string;
    } = {},
  ): VmBuilder {
    const { base, mode, entry } = options;
    const what = typeof image === "string" ? image : `data:;base64,${image.toBase64()}`;
    return this.#apply(flatVerb, {
      file: [base === undefined ? what : `${what}@0x${address(base).toString(16)}`],
      mode,
      entry: entry === undefined ? undefined : address(entry),
    });
  }

  /**
   * Boots a Linux kernel: bzImage, ELF vmlinux or PVH.
   *
   * @param path Its path
   * @param options `unpack` on the host (default true), and which `entry` point (default by image)
   * @returns A new builder
   */
  kernel(path: string, options: { unpack?: boolean; entry?: "linux" | "pvh" } = {}): VmBuilder {
    const { unpack, entry } = options;
    const choice = unpack === undefined ? undefined : unpack ? "yes" : "no";
    return this.#apply(kernelVerb, { path, unpack: choice, entry });
  }

  /**
   * Gives the kernel initial RAM disks.
   *
   * @param paths Their paths
   * @returns A new builder
   */
  initrd(...paths: string[]): VmBuilder {
    return this.#apply(initrdVerb, { path: paths });
  }

  /**
   * Adds to the kernel's command line.
   *
   * @param words What to add
   * @returns A new builder
   */
  cmdline(...words: string[]): VmBuilder {
    return this.#apply(cmdlineVerb, { words });
  }

  /**
   * Boots a multiboot image.
   *
   * @param path Its path
   * @param options `modules`, each a path and what follows it on its command line
   * @returns A new builder
   */
  multiboot(path: string, options: { modules?: readonly string[] } = {}): VmBuilder {
    return this.#apply(multibootVerb, { path, module: options.modules });
  }

  /**
   * Starts firmware at the reset vector.
   *
   * @param path Its path
   * @param options `roms`, option ROMs for SeaBIOS
   * @returns A new builder
   */
  firmware(path: string, options: { roms?: readonly string[] } = {}): VmBuilder {
    return this.#apply(firmwareVerb, { path, rom: options.roms });
  }

  /**
   * Sets the number of vCPUs and what CPUID shows.
   *
   * @param options `count`, `template`, and `mask`, features to take away
   * @returns A new builder
   */
  cpu(
    options: { count?: number; template?: "host" | "minimal"; mask?: readonly string[] },
  ): VmBuilder {
    return this.#apply(cpuVerb, options);
  }

  /**
   * Adds memory: RAM, or a file at an address.
   *
   * @param entry As in the document's `memory`
   * @returns A new builder
   */
  map(entry: MemoryEntry): VmBuilder {
    const { document } = this;
    return new VmBuilder({ ...document, memory: [...document.memory ?? [], entry] });
  }

  /**
   * Adds a serial port.
   *
   * @param options Its `name`, first `port` and `irq`, each with a PC's default
   * @returns A new builder
   */
  serial(options: { name?: string; port?: number; irq?: number } = {}): VmBuilder {
    return this.#apply(serialVerb, options);
  }

  /**
   * Adds a device of any kind.
   *
   * @param type Its type, or the path of a TypeScript file that exports one
   * @param settings Its own settings
   * @returns A new builder
   */
  device(type: string, settings: Record<string, unknown> = {}): VmBuilder {
    return this.#apply(deviceVerb, {
      type,
      key: Object.entries(settings)
        .map(([key, value]) => `${key}=${JSON.stringify(value)}`),
    });
  }

  /**
   * Makes the VM and starts it in this process.
   *
   * @param options `paused` has it wait before its first instruction
   * @returns The VM; dispose it to end it and free what it holds
   * @throws {HvshError} What the document, an image or the host is short of
   */
  async start(options: { paused?: boolean } = {}): Promise<Vm> {
    const machine = await Machine.create(parseDocument(this.document, "the builder"));
    return new Vm(machine, options);
  }

  #apply(verb: Verb, words: Record<string, Words[string] | undefined>): VmBuilder {
    const given = Object.entries(words).filter(([, value]) => value !== undefined);
    return new VmBuilder(verb.build!(this.document, Object.fromEntries(given), Deno.cwd()));
  }
}

/**
 * Begins to describe a VM.
 *
 * @param options Memory, vCPUs and name
 * @returns A builder
 * @example
 * ```ts
 * import { create } from "./builder.ts";
 *
 * const { document } = create({ memory: "64M" }).flat(Uint8Array.of(0xf4));
 * console.log(document.boot); // { flat: { images: [ { data: "9A==" } ] } }
 * ```
 */
export function create(options: CreateOptions = {}): VmBuilder {
  const { memory, cpus, name } = options;
  const words = {
    ...(memory === undefined ? {} : { memory: parseSize(memory) }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(name === undefined ? {} : { name }),
  };
  return new VmBuilder(createVerb.build!({ vm: 1 }, words, Deno.cwd()));
}

/**
 * Begins with a document that is there already.
 *
 * @param document The document, as `JSON.parse` gave it
 * @returns A builder
 * @throws {DocumentError} Naming the key at fault
 */
export function fromDocument(document: unknown): VmBuilder {
  return new VmBuilder(parseDocument(document, "the call"));
}

function address(value: number | string): number {
  return typeof value === "number" ? value : parseAddress(value);
}
