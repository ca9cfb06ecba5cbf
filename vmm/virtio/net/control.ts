/**
 * The control queue's commands (virtio 1.2 §5.1.6.5):
 *
 *     u8 class | u8 command | command-specific data … || u8 ack
 *
 * Every frame that comes is the guest's: receive modes and address filters are taken and change
 * nothing, since filtering is best effort (§5.1.6.5.2).
 *
 * @module
 */
import type { Struct } from "../../../ffi/struct.ts";
import { type Chain, ProtocolError } from "../virtio_device.ts";
import { NetFeature, receiveOffloads } from "./features.ts";
import type { NetState } from "./state.ts";

const DATA = 2;
const OK = 0;
const ERR = 1;
const MAC_BYTES = 6;

const Class = { RX: 0, MAC: 1, MQ: 4, GUEST_OFFLOADS: 5 } as const;
/** PROMISC, ALLMULTI, ALLUNI, NOMULTI, NOUNI, NOBCAST. */
const RX_COMMANDS = 6;
const MAC_TABLE_SET = 0;
const MAC_ADDR_SET = 1;
const MQ_VQ_PAIRS_SET = 0;
const GUEST_OFFLOADS_SET = 0;

/** What a command may ask of the device. */
export interface ControlledDevice {
  /** Its state, where the outcome is kept. */
  readonly state: Struct<typeof NetState>;
  /** How many queue pairs it has. */
  readonly pairs: number;
  /** Whether a feature was negotiated. */
  has(feature: number): boolean;
  /** Has the backend follow the state's `pairs` and `offloads`. */
  apply(): void;
}

/**
 * Carries a command out.
 *
 * @param chain The command; its last writable byte is the answer
 * @param device The device
 * @returns Bytes written
 * @throws {ProtocolError} If there is no room for an answer
 */
export function control(chain: Chain, device: ControlledDevice): number {
  if (chain.writable < 1) throw new ProtocolError("A control command has no place for its answer");
  chain.writeU8(0, chain.readable >= DATA && carryOut(chain, device) ? OK : ERR);
  return 1;
}

function carryOut(chain: Chain, device: ControlledDevice): boolean {
  const command = chain.readU8(1);
  const data = chain.readable - DATA;
  switch (chain.readU8(0)) {
    case Class.RX:
      return command < RX_COMMANDS && data >= 1;
    case Class.MAC:
      return command === MAC_TABLE_SET || (command === MAC_ADDR_SET && setMac(chain, data, device));
    case Class.MQ:
      return command === MQ_VQ_PAIRS_SET && data >= 2 && setPairs(chain.readU16(DATA), device);
    case Class.GUEST_OFFLOADS:
      return command === GUEST_OFFLOADS_SET && data >= 8 &&
        setOffloads(chain.readU32(DATA), chain.readU32(DATA + 4), device);
    default:
      return false;
  }
}

function setMac(chain: Chain, data: number, { state }: ControlledDevice): boolean {
  const mac = new Uint8Array(MAC_BYTES);
  if (data < MAC_BYTES) return false;
  chain.read(DATA, mac);
  state.mac.set(mac);
  return true;
}

function setPairs(pairs: number, device: ControlledDevice): boolean {
  if (!device.has(NetFeature.MQ) || pairs < 1 || pairs > device.pairs) return false;
  device.state.pairs = pairs;
  device.apply();
  return true;
}

/** §5.1.6.5.6: a subset of what was negotiated, by feature bits. */
function setOffloads(low: number, high: number, device: ControlledDevice): boolean {
  if (!device.has(NetFeature.CTRL_GUEST_OFFLOADS)) return false;
  const asked = (bit: number) => ((bit < 32 ? low >>> bit : high >>> (bit - 32)) & 1) !== 0;
  device.state.offloads = receiveOffloads((feature) => asked(feature) && device.has(feature));
  device.apply();
  return true;
}
