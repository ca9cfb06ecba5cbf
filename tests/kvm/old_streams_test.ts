/** Streams of earlier versions go on. */
import assert from "node:assert/strict";
import { loadStream } from "../../vmm/state/load_stream.ts";
import { Transcript } from "../flat_machine.ts";
import { OLD_GUESTS, oldStream, workedDevices, works } from "../old_streams.ts";
import { onKvm } from "../on_kvm.ts";
import { VirtioEntries } from "../virtio_entries.ts";

const VERSIONS = [1];

for (const version of VERSIONS) {
  for (const guest of OLD_GUESTS) {
    onKvm(`a stream of version ${version}, ${guest}, goes on`, async () => {
      await using entries = new VirtioEntries();
      let rest = oldStream(version, guest);
      const source = {
        read(into: Uint8Array) {
          const count = Math.min(into.length, rest.length);
          into.set(rest.subarray(0, count));
          rest = rest.subarray(count);
          return count;
        },
      };
      await using machine = await loadStream(source, {
        // It was written on another host, with files of its own.
        force: true,
        change: (document) =>
          guest === "devices"
            ? { ...document, devices: workedDevices(entries) as typeof document.devices }
            : document,
      });
      const transcript = new Transcript(machine);
      machine.start();
      await works(machine, guest, transcript);
      assert.equal(machine.state, "running");
      if (guest === "devices") return;
      const text = transcript.text;
      const whole = guest === "lines" ? numbers(text) : text;
      assert.ok(whole.length > 0);
      goesOn(guest, text);
    });
  }
}

/** The lines that are whole. */
function numbers(text: string): string {
  return text.split("\n").slice(1, -1).join("\n");
}

/** Looks that it has counted without a gap, from wherever. */
function goesOn(guest: typeof OLD_GUESTS[number], text: string): void {
  if (guest === "lines") {
    const counts = numbers(text).split("\n").map((line) => parseInt(line, 16));
    counts.forEach((count, i) => assert.equal(count, counts[0]! + i));
    assert.ok(counts[0]! > 0);
    return;
  }
  for (const alphabet of [/[A-Z]/g, /[a-z]/g]) {
    const letters = [...(text.match(alphabet) ?? [])].map((letter) => letter.charCodeAt(0) & 0x1f);
    letters.forEach((letter, i) => assert.equal(letter, (letters[0]! - 1 + i) % 26 + 1));
  }
}
