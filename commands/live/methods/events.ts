/**
 * What happens to a VM, as it happens.
 *
 * @module
 */
import type { MethodGroup } from "../methods.ts";

/** The group `events`. */
export const methods: MethodGroup = ({ events }) => ({
  /**
   * Sends `event`s, those since a time first; with `follow` until the VM has ended. With `mark` it says
   * `current` where those of before are all there.
   */
  read: async ({ since, follow, mark }, client) => {
    using reader = events.read(typeof since === "number" ? since : 0);
    for (const event of reader.take()) await client.notify("event", event);
    if (mark === true) await client.notify("current", {});
    if (follow !== true) return;
    for (;;) {
      const more = await reader.next(client.gone);
      if (more === undefined) return;
      for (const event of more) await client.notify("event", event);
    }
  },
});
