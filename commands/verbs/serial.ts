/**
 * `serial`: one more serial port.
 *
 * @module
 */
import { freeName, withDevice } from "../named_device.ts";
import type { Verb } from "../verb.ts";

/** The row of the table. */
export const verb: Verb = {
  name: "serial",
  summary: "Add a serial port, or change one",
  description:
    "Adds the next of a PC's serial ports, COM2 behind the COM1 that `create` gives. With the name of " +
    "one that is there it changes that one.",
  group: "build",
  flags: {
    name: { short: "n", value: "text", metavar: "NAME", help: "Its name (serial1, serial2…)" },
    port: {
      value: "address",
      metavar: "PORT",
      help: "First I/O port (0x3f8, 0x2f8, 0x3e8, 0x2e8)",
    },
    irq: { value: "number", metavar: "N", help: "Interrupt (4, 3, 4, 3)" },
  },
  arguments: [],
  inline: { value: "line" },
  reads: "document",
  writes: "document",
  examples: [
    {
      line: "hvsh create | hvsh serial | hvsh serial --name log --port 0x3e8 | jq -c .devices[1:]",
      prints: '[{"type":"serial","name":"serial1"},{"type":"serial","name":"log","port":1000}]\n',
    },
  ],
  build: (document, words) =>
    withDevice(document, {
      type: "serial",
      name: words.name as string ?? freeName(document, "serial"),
      ...(words.port === undefined ? {} : { port: words.port }),
      ...(words.irq === undefined ? {} : { irq: words.irq }),
    }),
};
