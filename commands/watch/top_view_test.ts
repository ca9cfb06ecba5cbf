import { deepEqual, equal } from "node:assert/strict";
import { topKey, topRecords, topScreen, type TopState } from "./top_view.ts";
import type { VmLook } from "./vm_rates.ts";

const NONE = { read: 0, written: 0, received: 0, sent: 0 };
const LOOKS: readonly VmLook[] = [
  {
    vm: {
      ...{ live: "db", pid: 81, state: "paused", vcpus: 1, cpu_percent: 0, exits: 0 },
      ...{ memory: 2 ** 28, resident: 2 ** 26, ...NONE },
    },
    vcpus: [{ live: "db", vcpu: 0, cpu_percent: 0, system_percent: 0, wait_percent: 0, exits: 0 }],
    devices: [],
  },
  {
    vm: {
      ...{ live: "web", pid: 812, state: "running", vcpus: 1, cpu_percent: 99.5, exits: 1234 },
      ...{ memory: 2 ** 30, resident: 1.5 * 2 ** 27, ...NONE, read: 5_000_000 },
    },
    vcpus: [
      { live: "web", vcpu: 0, cpu_percent: 99.5, system_percent: 3, wait_percent: 1, exits: 1234 },
    ],
    devices: [{
      ...{ live: "web", device: "disk0", ...NONE, read: 5_000_000, operations: 42 },
      ...{ errors: 0, interrupts: 40, notifications: 41 },
    }],
  },
];
const VMS: TopState = { part: "vms", sort: "cpu_percent", help: false };

function lines(state: TopState, columns: number): string[] {
  const look = { columns, rows: 24, color: false };
  return topScreen(LOOKS, state, look, "12:00:00").trimEnd().split("\n");
}

Deno.test("the busiest is first, and a narrow terminal has what matters most", () => {
  deepEqual(lines(VMS, 40), [
    "hvsh top - 12:00:00, VMs: 2, CPU: 99.5 %, h helps, q leaves",
    "",
    "VM   %CPU*  STATE    VCPUS  EXITS/S",
    "web   99.5  running      1     1234",
    "db     0.0  paused       1        0",
  ]);
  equal(
    lines(VMS, 80)[2],
    "VM   %CPU*  STATE    VCPUS  EXITS/S  RESIDENT  MEMORY  READ/S  WRITTEN/S",
  );
  equal(lines(VMS, 200)[3]!.split(/ +/).at(-1), "812");
});

Deno.test("vCPUs and devices have lines of their own", () => {
  deepEqual(lines(topKey(VMS, "1"), 80).slice(2), [
    "VM   VCPU  %CPU*  %SYSTEM  %WAIT  EXITS/S",
    "web     0   99.5      3.0    1.0     1234",
    "db      0    0.0      0.0    0.0        0",
  ]);
  deepEqual(lines(topKey(VMS, "d"), 80).slice(2, 4), [
    "VM   DEVICE  OPS/S*  READ/S  WRITTEN/S  RECEIVED/S  SENT/S  ERRORS/S  IRQS/S",
    "web  disk0       42    4.8M          0           0       0         0      40",
  ]);
});

Deno.test("keys choose the order, and what there is not to sort by changes nothing", () => {
  const names = (state: TopState) => topRecords(LOOKS, state).map(({ live }) => live);
  deepEqual(names(VMS), ["web", "db"]);
  deepEqual(names(topKey(VMS, "n")), ["db", "web"]);
  deepEqual(names(topKey(VMS, "e")), ["web", "db"]);
  deepEqual(topKey({ ...VMS, part: "vcpus" }, "r"), { ...VMS, part: "vcpus" });
  deepEqual(topKey(VMS, "x"), VMS);
});

Deno.test("help takes the table's place, and fits a narrow terminal", () => {
  const help = topKey(VMS, "h");
  const shown = lines(help, 40);
  equal(shown[2], "Lines:  v VMs   1 vCPUs   d devices");
  equal(shown.slice(1).every((line) => line.length <= 40), true);
  deepEqual(topKey(help, "?"), VMS);
});
