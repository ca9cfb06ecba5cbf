/**
 * The PCI host bridge: the ways to configuration space (ports 0xcf8 and 0xcfc, PCI 3.0 §3.2.2.3.2;
 * ECAM, PCI Express Base 5.0 §7.2.2), the registers of ACPI hot-plug, and itself in slot 0.
 *
 * Hot-plug registers, three double words at {@linkcode Port.PCI_HOTPLUG}, bit n for slot n:
 *
 *     0  slots that came; written ones clear
 *     4  slots that are to go, until they went; read-only
 *     8  written ones let a slot go; reads as 0
 *
 * @module
 */
import { struct, u32 } from "../../ffi/struct.ts";
import { Address, Port } from "../board.ts";
import type { Device, DeviceContext, DeviceType, IoHandler, IoRange } from "../device.ts";
import { PCI_SLOTS, type PciBus, PciFunctionState } from "./bus.ts";
import type { PciFunction } from "./function.ts";

/** What a host bridge is given: the bus behind it as well. */
export interface PciHostContext extends DeviceContext {
  /** This thread's bus. */
  readonly pciBus: PciBus;
}

const State = struct("pci_host", {
  config_address: u32,
  slots_came: u32,
  slots_to_go: u32,
  own_function: PciFunctionState,
});

/** Bits of CONFIG_ADDRESS: enable, bus, device, function and register; the others read as 0. */
const CONFIG_ADDRESS = { ENABLE: 0x8000_0000, ALL: 0x80ff_fffc } as const;

/** Bytes of ECAM of one bus. */
const ECAM_SIZE = 0x10_0000;

/** What it is to a guest: a host bridge by its class, with the ID of QEMU's PCI Express host. */
const OWN_FUNCTION: PciFunction = {
  vendor: 0x1b36,
  device: 0x0008,
  classCode: 0x06_00_00,
  bars: [],
  intx: false,
};

const Hotplug = { CAME: 0, TO_GO: 4, EJECT: 8, SIZE: 12 } as const;

/** The board's `pci_host` device; its context is a {@linkcode PciHostContext}. */
export const pciHost: DeviceType = {
  type: "pci_host",
  state: State,
  open: (_config, context) => new PciHost(context as PciHostContext),
};

class PciHost implements Device {
  readonly ranges: readonly IoRange[];
  readonly #context: PciHostContext;
  readonly #bus: PciBus;
  readonly #state: InstanceType<typeof State>;

  constructor(context: PciHostContext) {
    this.#context = context;
    this.#bus = context.pciBus;
    this.#state = new State(context.state);
    const { buffer, byteOffset } = context.state;
    const own = new DataView(
      buffer,
      byteOffset + State.offsets.own_function,
      PciFunctionState.size,
    );
    this.#bus.open(0, context.name, undefined, own).attach(OWN_FUNCTION);
    const pio = (base: number, size: number, handler: IoHandler): IoRange => ({
      space: "pio",
      base,
      size,
      maxWidth: 4,
      handler,
    });
    this.ranges = [
      { ...pio(Port.PCI_CONFIG, 4, this.#addressRegister()), priority: -1 }, // below port 0xcf9
      pio(Port.PCI_CONFIG + 4, 4, this.#dataRegister()),
      pio(Port.PCI_HOTPLUG, Hotplug.SIZE, this.#hotplugRegisters()),
      { space: "mmio", base: Address.ECAM, size: ECAM_SIZE, maxWidth: 4, handler: this.#ecam() },
    ];
  }

  reset(): void {
    this.#state.config_address = 0;
    this.#state.slots_came = 0;
    // What was asked to go has had its time: the guest that was asked is no more.
    this.#eject(this.#state.slots_to_go);
    this.#bus.reset(0);
  }

  restored(): void {
    this.#state.config_address &= CONFIG_ADDRESS.ALL;
    this.#bus.restored(0);
  }

  /** `plug` and `unplug`, of the slot that the value names, for the next ACPI event to tell. */
  action(name: string, value = ""): boolean {
    const slot = /^\d+$/.test(value) ? Number(value) : 0;
    if (slot === 0 || slot >= PCI_SLOTS || !this.#bus.present(slot)) return false;
    if (name === "plug") this.#state.slots_came |= 1 << slot;
    else if (name === "unplug") this.#state.slots_to_go |= 1 << slot;
    else return false;
    return true;
  }

  /** CONFIG_ADDRESS is there for double words only; others are the ISA bus's, where nobody answers. */
  #addressRegister(): IoHandler {
    return {
      read: (_offset, width) => width === 4 ? this.#state.config_address : 2 ** (8 * width) - 1,
      write: (_offset, width, value) => {
        if (width === 4) this.#state.config_address = value & CONFIG_ADDRESS.ALL;
      },
    };
  }

  #dataRegister(): IoHandler {
    return {
      read: (offset, width) => {
        const address = this.#selected();
        if (address < 0) return 2 ** (8 * width) - 1;
        return this.#bus.readConfiguration(address + offset, width);
      },
      write: (offset, width, value) => {
        const address = this.#selected();
        if (address >= 0) this.#bus.writeConfiguration(address + offset, width, value);
      },
    };
  }

  #ecam(): IoHandler {
    return {
      read: (offset, width) => this.#bus.readConfiguration(offset, width),
      write: (offset, width, value) => this.#bus.writeConfiguration(offset, width, value),
    };
  }

  /** What CONFIG_ADDRESS selects, as ECAM has it; -1 for nothing. */
  #selected(): number {
    const { config_address } = this.#state;
    if ((config_address & CONFIG_ADDRESS.ENABLE) === 0) return -1;
    return ((config_address >>> 8) & 0xffff) * 0x1000 + (config_address & 0xff);
  }

  #hotplugRegisters(): IoHandler {
    return {
      read: (offset, width) => {
        let value = 0;
        for (let i = 0; i < width; i++) value |= this.#hotplugByte(offset + i) << (8 * i);
        return value >>> 0;
      },
      write: (offset, width, value) => {
        for (let i = 0; i < width; i++) {
          this.#writeHotplugByte(offset + i, (value >>> (8 * i)) & 0xff);
        }
      },
    };
  }

  #hotplugByte(offset: number): number {
    const { slots_came, slots_to_go } = this.#state;
    const shift = 8 * (offset & 3);
    if (offset < Hotplug.TO_GO) return (slots_came >>> shift) & 0xff;
    return offset < Hotplug.EJECT ? (slots_to_go >>> shift) & 0xff : 0;
  }

  #writeHotplugByte(offset: number, byte: number): void {
    const slots = byte << (8 * (offset & 3));
    if (offset < Hotplug.TO_GO) this.#state.slots_came &= ~slots;
    else if (offset >= Hotplug.EJECT) this.#eject(slots);
  }

  /** Takes slots away from the guest; whoever watches the VM then takes their devices out. */
  #eject(slots: number): void {
    for (let slot = 1; slot < PCI_SLOTS; slot++) {
      if ((slots & (1 << slot)) === 0) continue;
      this.#state.slots_came &= ~(1 << slot);
      this.#state.slots_to_go &= ~(1 << slot);
      if (!this.#bus.present(slot)) continue;
      this.#bus.eject(slot);
      this.#context.event({ kind: "eject", slot });
    }
  }
}
