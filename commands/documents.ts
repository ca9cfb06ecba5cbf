/**
 * The VM documents among the objects that a stage is given.
 *
 * @module
 */
import { DocumentError } from "../ffi/errors.ts";
import type { VmDocument } from "../vmm/document.ts";
import type { VerbContext } from "./verb.ts";

/**
 * The documents that a stage is given, at least one.
 *
 * @param context Where the stage runs
 * @returns Each document, its shape checked
 * @throws {DocumentError} If there is none, or something else
 */
export async function* documents(context: VerbContext): AsyncGenerator<VmDocument> {
  if (context.input === undefined) {
    throw new DocumentError("There is no VM on stdin, it is a terminal", {
      hint: "start with `hvsh create |`",
    });
  }
  let none = true;
  for await (const value of context.input) {
    none = false;
    yield asDocument(value, "stdin");
  }
  if (none) throw new DocumentError("No VM on stdin; did the stage before fail?");
}

/**
 * Checks that an object is a document, as far as a builder has to know: its version, and that what
 * builders add to is of the right kind. `run` checks the rest, by the schema of `vmm/document.ts`:
 * loading the library for that would make each stage of a pipeline start a third slower, and going
 * through the schema would turn `"size": "1G"` into a number that the person did not write.
 *
 * @param value The object
 * @param where What to call it in an error
 * @returns The document
 * @throws {DocumentError} Naming what is wrong
 */
export function asDocument(value: unknown, where: string): VmDocument {
  if (!isObject(value)) throw new DocumentError(`VM document on ${where}: it is not an object`);
  if ("live" in value) {
    throw new DocumentError(
      `There is a handle on ${where}, of the live VM ${JSON.stringify(value.live)}, not a document`,
      { hint: "change the document before `hvsh run`" },
    );
  }
  if (value.vm !== 1) {
    const found = "vm" in value ? `"vm" is ${JSON.stringify(value.vm)}, not 1` : 'it has no "vm"';
    throw new DocumentError(`VM document on ${where}: ${found}`, {
      hint: "`hvsh create` writes a document to start from",
    });
  }
  checkShape(value, SHAPE, "", where);
  return value as VmDocument;
}

/** The kinds of what builders add to. */
interface Shape {
  readonly [key: string]: "list" | "text" | Shape;
}

const SHAPE: Shape = {
  memory: "list",
  cpu: { mask: "list" },
  devices: "list",
  boot: {
    kernel: {},
    initrd: "list",
    cmdline: "text",
    flat: { images: "list" },
    multiboot: { modules: "list" },
    firmware: { roms: "list" },
  },
};

function checkShape(
  value: Record<string, unknown>,
  shape: Shape,
  path: string,
  where: string,
): void {
  for (const [key, kind] of Object.entries(shape)) {
    const found = value[key];
    if (found === undefined) continue;
    const at = `VM document on ${where}, ${path}${key}`;
    if (kind === "list") {
      if (!Array.isArray(found)) throw new DocumentError(`${at} is not an array`);
    } else if (kind === "text") {
      if (typeof found !== "string") throw new DocumentError(`${at} is not a string`);
    } else if (isObject(found)) checkShape(found, kind, `${path}${key}.`, where);
    else throw new DocumentError(`${at} is not an object`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
