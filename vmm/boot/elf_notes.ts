/**
 * ELF notes: small records by which a kernel says how else it can be started.
 *
 * @module
 */
import { struct, u32 } from "../../ffi/struct.ts";
import { fieldError, type Image, viewOf } from "./image.ts";

/** `Elf32_Nhdr`, the same in both classes. */
const ElfNhdr = struct("Elf32_Nhdr", { n_namesz: u32, n_descsz: u32, n_type: u32 });

/** Notes beyond this many bytes are no kernel's. */
const MOST_NOTES = 1 << 20;

/** XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h): the PVH entry point. */
const XEN_ELFNOTE_PHYS32_ENTRY = 18;

/** One note. */
export interface ElfNote {
  /** Its owner, without the zero byte at the end. */
  readonly name: string;
  readonly type: number;
  readonly desc: Uint8Array;
}

/**
 * Reads the notes of PT_NOTE segments.
 *
 * @param image The file, for messages
 * @param segments The segments' bytes, their alignment, and where their program headers are
 * @returns The notes in order
 * @throws {ImageError} If a note runs past its segment
 */
export function parseNotes(
  image: Image,
  segments: readonly { at: number; data: Uint8Array; align: number }[],
): ElfNote[] {
  const notes: ElfNote[] = [];
  const total = segments.reduce((sum, { data }) => sum + data.length, 0);
  if (total > MOST_NOTES) {
    throw fieldError(
      image,
      "p_filesz of PT_NOTE",
      segments[0]!.at,
      `gives ${total} bytes of notes, more than kernels have`,
    );
  }
  for (const { at, data, align } of segments) {
    const view = viewOf(data);
    const up = (value: number) => Math.ceil(value / align) * align;
    for (let offset = 0; offset + ElfNhdr.size <= data.length;) {
      const { n_namesz, n_descsz, n_type } = new ElfNhdr(view, offset);
      const name = offset + ElfNhdr.size;
      const desc = up(name + n_namesz);
      if (desc + n_descsz > data.length) {
        throw fieldError(
          image,
          "n_descsz",
          at,
          `runs past its PT_NOTE segment: ${n_namesz} + ${n_descsz} bytes at ${offset} of ${data.length}`,
        );
      }
      notes.push({
        name: new TextDecoder().decode(data.subarray(name, name + Math.max(0, n_namesz - 1))),
        type: n_type,
        desc: data.subarray(desc, desc + n_descsz),
      });
      offset = up(desc + n_descsz);
    }
  }
  return notes;
}

/**
 * The entry point for a start by PVH.
 *
 * @param notes An ELF's notes
 * @returns A physical address, or `undefined` if the kernel has no such entry
 */
export function pvhEntry(notes: readonly ElfNote[]): number | undefined {
  const note = notes.find(({ name, type, desc }) =>
    name === "Xen" && type === XEN_ELFNOTE_PHYS32_ENTRY && desc.length >= 4
  );
  // 4 or 8 bytes by the kernel's width; the entry is 32-bit code, so the low half says all.
  return note && viewOf(note.desc).getUint32(0, true);
}

/**
 * Whether notes are those of a Linux kernel, which has its own since 4.19.
 *
 * @param notes An ELF's notes
 * @returns Whether one is owned by Linux, or by Xen's loader for a guest that calls itself linux
 */
export function isLinux(notes: readonly ElfNote[]): boolean {
  return notes.some(({ name, type, desc }) =>
    name === "Linux" ||
    (name === "Xen" && type === 6 && new TextDecoder().decode(desc).startsWith("linux"))
  );
}
