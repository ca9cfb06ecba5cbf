import assert from "node:assert/strict";
import { integer } from "./aml.ts";
import {
  and,
  arg0,
  arg1,
  call,
  local0,
  method,
  notify,
  portRegion,
  registers32,
  store,
  when,
} from "./aml_methods.ts";

const hex = (bytes: Uint8Array) => bytes.toHex();
const text = (name: string) => hex(new TextEncoder().encode(name));

Deno.test("a method counts its arguments, and says that it is serialized", () => {
  assert.equal(hex(method("_EJ0", 1)), "1406" + text("_EJ0") + "09");
  assert.equal(hex(method("NTFY", 2, integer(0))), "1407" + text("NTFY") + "0a" + "00");
});

Deno.test("values come before what takes them", () => {
  assert.equal(hex(store(integer(4), call("EJCT"))), "700a04" + text("EJCT"));
  assert.equal(hex(and(arg0, integer(0x8000_0000))), "7b680c0000008000");
  assert.equal(hex(call("NTFY", local0, arg1)), text("NTFY") + "6069");
});

Deno.test("a condition measures all that hangs on it", () => {
  assert.equal(hex(when(arg0, notify("S001", arg1))), "a0086886" + text("S001") + "69");
});

Deno.test("registers are 32 bits each, behind one another in a region of ports", () => {
  assert.equal(hex(portRegion("HPRG", 0xae00, 12)), "5b80" + text("HPRG") + "010b00ae0a0c");
  assert.equal(
    hex(registers32("HPRG", "CAME", "TOGO")),
    "5b8110" + text("HPRG") + "03" + text("CAME") + "20" + text("TOGO") + "20",
  );
});
