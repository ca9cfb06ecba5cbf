import assert from "node:assert/strict";
import fc from "fast-check";
import { encodePacket, PACKET_SIZE, PacketReader } from "./packets.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

Deno.test("packets come whole, whatever pieces the stream comes in", () => {
  fc.assert(fc.property(
    fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
    (packets, sizes) => {
      const stream = packets.flatMap((data) => [...encodePacket(data)]);
      const reader = new PacketReader();
      const found: Uint8Array[] = [];
      for (let at = 0, i = 0; at < stream.length; i++) {
        const size = sizes[i % sizes.length]!;
        for (const item of reader.push(Uint8Array.from(stream.slice(at, at + size)))) {
          assert.equal(item.kind, "packet");
          if (item.kind === "packet") found.push(item.data);
        }
        at += size;
      }
      assert.deepEqual(found, packets);
    },
  ));
});

Deno.test("acknowledgements, ^C and damaged packets are told apart", () => {
  const reader = new PacketReader();
  const kinds = reader.push(bytes("+-\x03noise$g#67$g#68$OK#zz$lost$g#67")).map(({ kind }) => kind);
  assert.deepEqual(kinds, [
    ...["ack", "nak", "interrupt", "packet", "damaged", "damaged", "packet"],
  ]);
});

Deno.test("an escape is undone: }] is }", () => {
  assert.deepEqual(new PacketReader().push(bytes("$a}]b}\x03#1d")), [
    { kind: "packet", data: bytes("a}b#") },
  ]);
  assert.equal(text(encodePacket("}$#*")), "$}]}\x04}\x03}\x0a#62");
});

Deno.test("a packet that is too long is refused, and the next one is taken", () => {
  const reader = new PacketReader();
  const long = encodePacket(new Uint8Array(PACKET_SIZE + 1).fill(0x61));
  assert.deepEqual(reader.push(long).map(({ kind }) => kind), ["damaged"]);
  for (let i = 0; i < 100; i++) assert.deepEqual(reader.push(bytes("$" + "b".repeat(100_000))), []);
  assert.deepEqual(reader.push(encodePacket("?")).map(({ kind }) => kind), ["packet"]);
});

Deno.test("any bytes at all are taken without an error", () => {
  const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x24, 0x23, 0x7d, 0x30));
  fc.assert(fc.property(fc.array(byte, { maxLength: 500 }), (stream) => {
    const items = new PacketReader().push(Uint8Array.from(stream));
    assert.ok(items.length <= stream.length);
  }));
});
