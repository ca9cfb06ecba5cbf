/**
 * What the devices of a live VM can be told with `hvsh ctl`, by their types.
 *
 * @module
 */

/** A word that a device takes. */
export interface DeviceWord {
  readonly word: string;
  /** What may stand behind it, if that is known. */
  readonly values?: readonly string[];
  readonly help: string;
}

/** Words by device type. */
export const deviceWords: Readonly<Record<string, readonly DeviceWord[]>> = {
  disk: [{ word: "resize", help: "take the file's new size, or grow it to SIZE" }],
  net: [{ word: "link", values: ["up", "down"], help: "plug or unplug the cable: up, down" }],
  console: [{ word: "size", help: "the window's size, COLSxROWS" }],
  balloon: [{ word: "target", help: "memory to take from the guest, SIZE" }],
  vsock: [{ word: "transport-reset", help: "break all connections" }],
  serial: [{ word: "break", help: "a break on the line" }],
  pm: [{ word: "powerbutton", help: "press it" }],
};
