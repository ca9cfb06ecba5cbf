/**
 * The verbs of the table, as the shell asks for them.
 *
 * @module
 */
import { loadVerb, verbNames } from "../table.ts";
import type { VerbSource } from "./session.ts";

/** All verbs, and the VMs that they are about. */
export const tableVerbs: VerbSource = {
  names: verbNames,
  load: loadVerb,
  vms: async () => {
    const { findVms } = await import("../live/run_directory.ts");
    return findVms().map(({ name }) => name);
  },
};
