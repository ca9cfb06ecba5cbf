/**
 * `config.json`: a VM's document, written as long as the VM has not started.
 *
 * @module
 */
import { Errno } from "../../ffi/errno.ts";
import { parseDocument } from "../../vmm/document.ts";
import { jsonErrorOffset } from "../json_error_offset.ts";
import type { Fault } from "./error_log.ts";
import { isBeginning } from "./json_beginning.ts";
import { type Access, FileError, type FileNode, type OpenFile } from "./node.ts";
import { LineError, type VmPlace } from "./vm_place.ts";

const PATH = "config.json";
const FROZEN = 0o400;
const EDITABLE = 0o600;
const MOST_BYTES = 2 ** 20;
const encoder = new TextEncoder();

/**
 * The file.
 *
 * @param place Its VM
 */
export function configFile(place: VmPlace): FileNode {
  return {
    kind: "file",
    attributes: () => ({
      mode: place.state === "draft" ? EDITABLE : FROZEN,
      size: encoder.encode(textOf(place) ?? "").length,
    }),
    open: (access) => new OpenConfig(place, access),
  };
}

/** The document of a VM, as text; undefined if there is none. */
function textOf(place: VmPlace): string | undefined {
  if (place.state === "draft") return place.tree.drafts.text(place.name);
  try {
    return Deno.readTextFileSync(place.directory.config);
  } catch {
    return undefined; // it has just ended
  }
}

/**
 * One that is open. Writers send a document in pieces of any size: what has come is taken as soon as it
 * is a whole one, and refused as soon as it can't become one.
 */
class OpenConfig implements OpenFile {
  readonly flushes: boolean;
  readonly #place: VmPlace;
  #written = new Uint8Array(0);
  #whole = true;

  constructor(place: VmPlace, access: Access) {
    this.#place = place;
    this.flushes = access.write;
  }

  read(position: bigint, size: number): Uint8Array {
    const text = textOf(this.#place);
    if (text === undefined) throw this.#place.gone();
    return encoder.encode(text).subarray(Number(position), Number(position) + size);
  }

  async write(bytes: Uint8Array<ArrayBuffer>, position: bigint): Promise<void> {
    if (position === 0n) this.#written = new Uint8Array(0);
    const before = this.#written;
    const joined = new Uint8Array(before.length + bytes.length);
    joined.set(before);
    joined.set(bytes, before.length);
    const text = new TextDecoder().decode(joined);
    await this.#place.attempt(PATH, () => {
      if (joined.length > MOST_BYTES) throw new FileError(Errno.EFBIG);
      if (this.#place.state !== "draft") {
        throw new FileError(Errno.EBUSY, "The document is frozen once its VM has started");
      }
      if (Number(position) !== before.length) {
        throw new FileError(Errno.EINVAL, "A document is written from its start to its end");
      }
      this.#whole = this.#take(text);
    });
    this.#written = joined;
  }

  /** Too late to refuse a write(2), but not to say that it is no document yet. */
  async flush(): Promise<void> {
    if (this.#whole) return;
    const text = new TextDecoder().decode(this.#written);
    await this.#place.attempt(PATH, () => {
      throw new LineError("The document ends too early", faultAt(text, text.trimEnd().length));
    });
  }

  /** False if its end is missing. */
  #take(text: string): boolean {
    const offset = jsonErrorOffset(text);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      if (isBeginning(text, offset)) return false;
      throw new LineError("It is not JSON", faultAt(text, offset));
    }
    const { name } = this.#place;
    parseDocument({ ...value as object, name }, PATH);
    this.#place.tree.drafts.set(name, text);
    return true;
  }
}

function faultAt(text: string, offset: number): Fault {
  const start = text.lastIndexOf("\n", offset - 1) + 1;
  const end = text.indexOf("\n", offset);
  return { line: text.slice(start, end < 0 ? undefined : end), column: offset - start };
}
