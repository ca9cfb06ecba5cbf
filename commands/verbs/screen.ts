/**
 * `hvsh screen`: what a VM shows in VGA text mode.
 *
 * @module
 */
import { UsageError, VmError } from "../../ffi/errors.ts";
import { screenPng } from "../../vmm/debug/screen_image.ts";
import { readScreen, screenText } from "../../vmm/debug/text_screen.ts";
import { namedVms } from "../live/clients.ts";
import { LiveInside } from "../live/live_inside.ts";
import type { Verb } from "../verb.ts";

/** The row of `screen`. */
export const verb: Verb = {
  name: "screen",
  summary: "Show the text screen of live VMs",
  description:
    "Prints what a guest has written to the VGA text memory at 0xb8000, 80 by 25 characters of code " +
    "page 437 as UTF-8; with --png an image of it, in its colours.",
  group: "live",
  flags: { png: { help: "Write a PNG image to stdout" } },
  arguments: [{ name: "NAME", value: "vm", optional: true, repeat: true, help: "the VMs" }],
  reads: "handles",
  writes: "text",
  examples: [
    { line: "hvsh screen web", needs: "kvm" },
    { line: "hvsh screen web --png > web.png", needs: "kvm" },
  ],
  async run(words, context) {
    if (words.png === true && context.forPerson) {
      throw new UsageError("An image is no text for a terminal", {
        hint: "hvsh screen NAME --png > FILE",
      });
    }
    for await (const vm of namedVms(words, context)) {
      using inside = await LiveInside.open(vm);
      const screen = readScreen(inside.memory);
      if (screen === undefined) throw new VmError(`VM "${vm.name}" has no memory at 0xb8000`);
      if (words.png === true) await context.write(screenPng(screen));
      else await context.print(screenText(screen));
    }
    return 0;
  },
};
