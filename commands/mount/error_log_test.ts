import assert from "node:assert/strict";
import { VmError } from "../../ffi/errors.ts";
import { ErrorLog, faultOf } from "./error_log.ts";

Deno.test("the first word that a message speaks of is at fault", () => {
  const column = (line: string, message: string) => faultOf(line, message).column;
  assert.equal(column("rbx=1 raz=2", 'There is no register "raz"'), 6);
  assert.equal(column("  a b cs.base", "KVM refuses cs.base."), 6);
  assert.equal(column("  pause", "It is not to be"), 2);
  assert.equal(column("", "nothing"), 0);
});

Deno.test("a folder's log has what was refused below it, with a caret, and not for ever", () => {
  const log = new ErrorLog();
  log.add("vms/web/ctl", new VmError("No", { hint: "yes" }), { line: "a bad word", column: 2 });
  log.add("vms/web2/ctl", new VmError("Neither"));
  assert.equal(log.below("vms/web/"), "ctl: No (yes)\n   a bad word\n     ^\n");
  assert.match(log.below(), /^vms\/web\/ctl: No[^]*\nvms\/web2\/ctl: Neither\n$/);
  for (let i = 0; i < 1000; i++) log.add("vms/web2/ctl", new VmError(`${i}`));
  assert.equal(log.below("vms/web/"), "");
  assert.match(log.below(), /ctl: 999\n$/);
});
