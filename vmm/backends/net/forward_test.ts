import assert from "node:assert/strict";
import { parseCidr, parseIpv4, parseMac } from "./addresses.ts";
import { parseForward } from "./forward.ts";

Deno.test("a forwarded port listens on loopback unless it says otherwise", () => {
  assert.deepEqual(parseForward("tcp:8080:80"), {
    protocol: "tcp",
    address: [127, 0, 0, 1],
    hostPort: 8080,
    guestPort: 80,
  });
  assert.deepEqual(parseForward("udp:0.0.0.0:53:5353"), {
    protocol: "udp",
    address: [0, 0, 0, 0],
    hostPort: 53,
    guestPort: 5353,
  });
});

Deno.test("what is no forwarded port says what is wrong", () => {
  for (
    const [text, message] of [
      ["8080:80", /does not start with tcp: or udp:/],
      ["tcp:80", /is not PROTOCOL:/],
      ["tcp:1:2:3:4", /is not PROTOCOL:/],
      ["tcp:localhost:80:80", /names no IPv4 address/],
      ["tcp:0:80", /"0" is no port/],
      ["tcp:80:65536", /"65536" is no port/],
      ["tcp:80:", /"" is no port/],
      ["tcp:8e1:80", /"8e1" is no port/],
    ] as const
  ) assert.throws(() => parseForward(text), message, text);
});

Deno.test("addresses are read strictly", () => {
  assert.deepEqual(parseIpv4("10.0.2.255"), [10, 0, 2, 255]);
  for (const text of ["10.0.2", "10.0.2.256", "10.0.2.01", "10.0.2.-1", "", "a.b.c.d"]) {
    assert.equal(parseIpv4(text), undefined, text);
  }
  assert.deepEqual(parseCidr("10.0.0.1/0"), { address: [10, 0, 0, 1], prefix: 0 });
  for (const text of ["10.0.0.1", "10.0.0.1/33", "10.0.0.1/", "/24", "10.0.0.1/24/1"]) {
    assert.equal(parseCidr(text), undefined, text);
  }
  assert.deepEqual([...parseMac("52:54:00:AB:cd:ef")!], [0x52, 0x54, 0, 0xab, 0xcd, 0xef]);
  for (const text of ["52:54:00:ab:cd", "53:54:00:ab:cd:ef", "52-54-00-ab-cd-ef", ""]) {
    assert.equal(parseMac(text), undefined, text);
  }
});
