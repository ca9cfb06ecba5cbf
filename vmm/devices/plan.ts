/**
 * Which devices a machine has: those of its document, with their defaults filled in, and the
 * board's own.
 *
 * @module
 */
import { DocumentError } from "../../ffi/errors.ts";
import { Irq, Port } from "../board.ts";
import type { DeviceEntry } from "../document.ts";
import type { RtcConfig } from "./rtc.ts";
import type { SerialConfig } from "./serial.ts";

const PORTS = 0x1_0000;
/** The eight ports of a UART must fit behind the first. */
const SERIAL_PORTS = PORTS - 7;
/** The inputs of the I/O APIC (82093AA data sheet, §2.4). */
const IOAPIC_PINS = 24;

/** A device of a machine: its name, its kind, and its entry of the document. */
export interface NamedDevice {
  /** Its unique name, `serial0`. */
  readonly name: string;
  /** The word of its kind. */
  readonly type: string;
  /** URL of a user's module, for `device FILE.ts`. */
  readonly module?: string;
  /** The other keys of its entry. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** What the board's own devices are told of the machine. */
export interface BoardFacts {
  /** Memory sizes, for CMOS. */
  readonly rtc: RtcConfig;
  /** Whether there are ACPI tables to tell of the generation ID. */
  readonly acpi: boolean;
  /** Whether firmware boots: it logs to port 0x402, where it has no serial port for its screen. */
  readonly firmware: boolean;
  /** Whether kvm-unit-tests' device is there; its ports take the debug console's place. */
  readonly testDevice: boolean;
}

/**
 * Plans a machine's devices.
 *
 * @param entries The document's `devices`
 * @param facts What the board's devices are told
 * @returns Every device, named, in the order in which they are opened
 * @throws {DocumentError} If there are more serial ports than a PC has, a name is used twice, or a
 *   number cannot be what it should
 */
export function planDevices(entries: readonly DeviceEntry[], facts: BoardFacts): NamedDevice[] {
  const counts = new Map<string, number>();
  const named = entries.map((entry) => {
    const number = counts.get(entry.type) ?? 0;
    counts.set(entry.type, number + 1);
    const { type, name = `${type}${number}`, module, ...config } = entry;
    if (type === "serial") return { name, type, config: serialConfig(config, number, name) };
    if (type === "debug_console") return { name, type, config: portConfig(config, name) };
    if (type === "fw_cfg") {
      throw new DocumentError(`VM document, ${name}: fw_cfg is made with what it hands out`, {
        hint: "`hvsh firmware` gives the machine one",
      });
    }
    return {
      name,
      type,
      config: type === "rtc" ? { ...facts.rtc, ...config } : config,
      ...(typeof module === "string" ? { module } : {}),
    };
  });
  const logs = facts.firmware && !named.some(({ type }) => type === "serial");
  const plans: NamedDevice[] = [
    ...named,
    ...boardDevices(facts, logs).filter((own) => !named.some((device) => replaces(device, own))),
  ];
  const names = new Set<string>();
  for (const { name } of plans) {
    if (names.has(name)) throw new DocumentError(`VM document, devices: "${name}" is there twice`);
    names.add(name);
  }
  return plans;
}

/** Whether a device of the document takes the place of one that the board would have itself. */
function replaces(device: NamedDevice, own: NamedDevice): boolean {
  if (device.type !== own.type) return false;
  if (device.type !== "debug_console") return true; // a PC has one of each, at one place
  return (device.config.port ?? Port.DEBUGCON) === own.config.port;
}

function boardDevices({ rtc, acpi, testDevice }: BoardFacts, firmwareLogs: boolean): NamedDevice[] {
  const own = (type: string, config: object = {}, name = type): NamedDevice => ({
    name,
    type,
    config: { ...config },
  });
  return [
    own("i8042"),
    own("rtc", rtc),
    own("pm"),
    own("pvpanic"),
    own("debug_exit"),
    ...(acpi ? [own("vmgenid")] : []),
    testDevice ? own("test_device") : own("debug_console", { port: Port.DEBUGCON }),
    ...(firmwareLogs
      ? [own("debug_console", { port: Port.FIRMWARE_DEBUGCON }, "firmware_console")]
      : []),
  ];
}

function serialConfig(
  config: Readonly<Record<string, unknown>>,
  number: number,
  name: string,
): SerialConfig & Record<string, unknown> {
  const port = config.port ?? Port.COM[number];
  if (port === undefined) {
    throw new DocumentError(`VM document, ${name}: a PC has ${Port.COM.length} serial ports`, {
      hint: 'give it a "port" of its own',
    });
  }
  const base = wholeNumber(port, SERIAL_PORTS, name, "port");
  const known = (Port.COM as readonly number[]).indexOf(base);
  const irq = config.irq ?? Irq.COM[known < 0 ? number % Irq.COM.length : known];
  return { ...config, port: base, irq: wholeNumber(irq, IOAPIC_PINS, name, "irq") };
}

function portConfig(
  config: Readonly<Record<string, unknown>>,
  name: string,
): Readonly<Record<string, unknown>> {
  const { port, ...others } = config;
  if (port === undefined) return others;
  return { ...others, port: wholeNumber(port, PORTS, name, "port") };
}

/** A number of the document, 0 to `end - 1`. */
function wholeNumber(value: unknown, end: number, name: string, key: string): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < end) {
    return value as number;
  }
  throw new DocumentError(
    `VM document, ${name}: "${key}" is ${JSON.stringify(value)}, not a number from 0 to ${end - 1}`,
  );
}
