/**
 * A VM that moves to another owner while it runs: its process keeps a log of what changes, holds it for
 * the last round, and has the last word with the other side.
 *
 * @module
 */
import { VmError } from "../../../ffi/errors.ts";
import type { RpcClient } from "../json_rpc.ts";
import type { MethodGroup } from "../methods.ts";
import { Migration } from "../migration.ts";

/** The group `migration`. */
export const methods: MethodGroup = (vm) => {
  let current: { readonly client: RpcClient; readonly migration: Migration } | undefined;

  const mine = (client: RpcClient): Migration => {
    if (current?.client === client) return current.migration;
    throw new VmError("The VM is not being migrated by this client");
  };

  return {
    /** Begins to log what changes, for as long as the client is there. */
    begin: (_params, client) => {
      if (current !== undefined) throw new VmError("The VM is being migrated already");
      const migration = new Migration(vm, () => current = undefined);
      current = { client, migration };
      client.gone.addEventListener("abort", () => migration.abandon());
      return migration.begin();
    },
    /** What has changed since it was asked the last time. */
    dirty: (_params, client) => mine(client).dirty(),
    /** Holds the VM, for so long at most, and gives the rest of its state. */
    hold: ({ milliseconds }, client) => mine(client).hold(Number(milliseconds)),
    /** Takes the pipes of the client to the other side, which is ready. */
    takeOver: ({ pid, to, from, owner }, client) =>
      mine(client).takeOver(Number(pid), Number(to), Number(from), owner),
    /** Has the other side's VM run and this one end; the client is not needed any more. */
    commit: (_params, client) => mine(client).commit(),
  };
};
