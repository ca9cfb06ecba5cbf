/**
 * The VM document: one JSON object that says what a machine is. Pure data; every key that this
 * version does not know is kept.
 *
 * @module
 */
import * as v from "valibot";
import { DocumentError } from "../ffi/errors.ts";
import { MAX_IO_THREADS } from "./board.ts";
import { parseSize } from "./size.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const MAX_CPUS = 255;

const address = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const size = v.pipe(
  v.union([v.number(), v.string()]),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    try {
      return parseSize(dataset.value);
    } catch (error) {
      addIssue({ message: (error as Error).message });
      return NEVER;
    }
  }),
);
const path = v.pipe(v.string(), v.nonEmpty(), v.check((s) => !s.includes("\0"), "has a NUL byte"));
const count = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most));

const memoryEntry = v.looseObject({
  /** `ram` anonymous; `rom` and `file` from `path`; `shared` a file that the guest's writes reach. */
  type: v.picklist(["ram", "rom", "file", "shared"]),
  /** Guest-physical address; RAM without one starts at 0 and continues above the hole at 3 GiB. */
  base: v.optional(address),
  /** Bytes, or text such as "256M"; a file's own size if left out. */
  size: v.optional(size),
  path: v.optional(path),
  /** Where in the file the region starts, in bytes. */
  offset: v.optional(address),
});

const cpuOptions = v.looseObject({
  /** Which features the guest is offered. */
  template: v.optional(v.picklist(["host", "minimal"])),
  /** Features to take away, by /proc/cpuinfo's names. */
  mask: v.optional(v.array(v.string())),
});

/** valibot's own base64() runs out of stack on some megabytes. */
const base64 = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9+/]*={0,2}$/, "is not base64"),
  v.check((s) => s.length % 4 === 0, "is not base64: its length is no multiple of 4"),
);

const flatImage = v.looseObject({
  path: v.optional(path),
  /** The bytes themselves, base64. */
  data: v.optional(base64),
  base: v.optional(address),
});

const boot = v.looseObject({
  /** bzImage, ELF vmlinux or PVH image. */
  kernel: v.optional(v.looseObject({
    path,
    /** Unpack the kernel's payload on the host and start it directly. Default true. */
    unpack: v.optional(v.boolean()),
    /** Linux's own entry point or PVH's; left out, what the image is made for. */
    entry: v.optional(v.picklist(["linux", "pvh"])),
  })),
  /** Files that are loaded one behind the other as the initial RAM disk. */
  initrd: v.optional(v.array(path)),
  cmdline: v.optional(v.string()),
  /** Bytes at addresses. */
  flat: v.optional(v.looseObject({
    images: v.array(flatImage),
    /** Default `real`. */
    mode: v.optional(v.picklist(["real", "protected", "long"])),
    /** First instruction; the first image's base if left out. */
    entry: v.optional(address),
  })),
  multiboot: v.optional(v.looseObject({
    path,
    modules: v.optional(v.array(v.looseObject({ path, cmdline: v.optional(v.string()) }))),
  })),
  /** A blob that ends at 4 GiB and starts at the reset vector; a kernel beside it is handed to it. */
  firmware: v.optional(v.looseObject({
    path,
    /** Option ROMs that it finds in fw_cfg and starts. */
    roms: v.optional(v.array(path)),
  })),
});

const device = v.looseObject({
  /** `serial`, or `module` for a device that the user wrote. */
  type: v.pipe(v.string(), v.nonEmpty()),
  /** Unique; type and number if left out. */
  name: v.optional(v.pipe(v.string(), v.regex(NAME))),
});

/** The valibot schema of a VM document; `hvsh schema` prints it as JSON Schema. */
export const VmDocumentSchema = v.looseObject({
  /** Version of the document's format. */
  vm: v.literal(1),
  name: v.optional(v.pipe(v.string(), v.regex(NAME, "is not a name of letters, digits and . _ -"))),
  memory: v.optional(v.array(memoryEntry)),
  cpus: v.optional(count(MAX_CPUS)),
  cpu: v.optional(cpuOptions),
  boot: v.optional(boot),
  devices: v.optional(v.array(device)),
  /** The in-kernel interrupt controllers and timer; left out, they follow from what boots. */
  irqchip: v.optional(v.boolean()),
  /** A PCI bus; left out, there is one where a kernel or a device may want it. */
  pci: v.optional(v.boolean()),
  /** Threads that the devices' I/O is spread over. Default 1. */
  ioThreads: v.optional(count(MAX_IO_THREADS)),
  /** Write ACPI tables; without them Linux hears of virtio-mmio devices by its command line. Default true. */
  acpi: v.optional(v.boolean()),
  /** What a reset by the guest does: end the VM, or start it anew. Default `exit`. */
  reboot: v.optional(v.picklist(["exit", "restart"])),
  /** Write an Intel MP table too. Default false. */
  mptable: v.optional(v.boolean()),
});

/** A VM document whose known keys have been checked; unknown keys are still there. */
export type VmDocument = v.InferOutput<typeof VmDocumentSchema>;
/** One entry of `memory`. */
export type MemoryEntry = v.InferOutput<typeof memoryEntry>;
/** The `boot` object. */
export type BootDocument = v.InferOutput<typeof boot>;
/** One entry of `devices`. */
export type DeviceEntry = v.InferOutput<typeof device>;

/**
 * Checks a document.
 *
 * @param value What `JSON.parse` gave
 * @param where What to call it in an error, `stdin` or a path
 * @returns The same object with sizes as numbers of bytes
 * @throws {DocumentError} Naming the key at fault
 */
export function parseDocument(value: unknown, where: string): VmDocument {
  const result = v.safeParse(VmDocumentSchema, value, { abortEarly: true });
  if (result.success) {
    const names = new Set<string>();
    for (const { name } of result.output.devices ?? []) {
      if (name !== undefined && names.has(name)) {
        throw new DocumentError(`VM document on ${where}: two devices are named "${name}"`);
      }
      if (name !== undefined) names.add(name);
    }
    return result.output;
  }
  const issue = result.issues[0];
  const key = v.getDotPath(issue);
  if (key === "vm") {
    throw new DocumentError(`VM document on ${where}: "vm" is ${issue.received}, not 1`, {
      hint: "`hvsh create` writes a document to start from",
    });
  }
  throw new DocumentError(
    `VM document on ${where}${key === null ? "" : `, ${key}`}: ${issue.message}`,
    { hint: "`hvsh schema` prints what a document may hold" },
  );
}

/**
 * Checks one device's entry.
 *
 * @param value As in a document's `devices`
 * @param where What to call it in an error
 * @returns The same object
 * @throws {DocumentError} Naming the key at fault
 */
export function parseDevice(value: unknown, where: string): DeviceEntry {
  const { devices } = parseDocument({ vm: 1, devices: [value] }, where);
  return devices![0]!;
}
