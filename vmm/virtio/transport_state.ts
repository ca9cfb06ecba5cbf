/**
 * What a virtio transport keeps of a device in the arena: its registers, its queues, its counters.
 *
 * @module
 */
import { addr64, array, struct, u32 } from "../../ffi/struct.ts";
import { VirtqueueState } from "./queue_state.ts";

/** The most queues that a device may have: 31 console ports and their control queues. */
export const MOST_QUEUES = 64;

/** The value of a vector register that asks for no interrupt (§4.1.5.1.2). */
export const NO_VECTOR = 0xffff;

/** Bits of the interrupt status (§4.1.4.5, §4.2.2). */
export const Isr = { QUEUE: 1, CONFIG: 2 } as const;

/** The transport's part of a device's slice. */
export const VirtioState = struct("virtio", {
  status: u32,
  /** 1 while a reset waits for requests that are in the kernel's hands. */
  resetting: u32,
  device_feature_select: u32,
  driver_feature_select: u32,
  /** What the driver chose: bits 0 to 31, 32 to 63, and whatever it wrote to words beyond. */
  driver_features_low: u32,
  driver_features_high: u32,
  driver_features_beyond: u32,
  queue_select: u32,
  /** {@linkcode Isr} bits that the driver has not taken. */
  isr: u32,
  config_generation: u32,
  config_vector: u32,
  /** 1 while KVM signals the queues' eventfds. */
  connected: u32,
  /** PCI: where the structures' BAR is, and whether it is anywhere. */
  bar_base: addr64,
  bar_decoded: u32,
  /** PCI: the window of VIRTIO_PCI_CAP_PCI_CFG. */
  window_bar: u32,
  window_offset: u32,
  window_length: u32,
  /** Counters since the VM's start. */
  needs_resets: u32,
  resets: u32,
  interrupts: u32,
  notifications: u32,
  queues: array(VirtqueueState, MOST_QUEUES),
}, { size: Math.ceil((96 + MOST_QUEUES * VirtqueueState.size) / 64) * 64 });
