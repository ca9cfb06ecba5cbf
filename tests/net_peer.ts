/**
 * The far end of a network card's stream backend, for tests: frames by hand, at once.
 *
 * @module
 */
import { closeFile } from "../ffi/files.ts";
import { libc } from "../ffi/libc.ts";
import { receiveBytes } from "../ffi/stream_socket.ts";
import { socketPair } from "../ffi/unix_socket.ts";
import { FrameSplitter } from "../vmm/backends/net/frame_splitter.ts";
import type { NetConfig } from "../vmm/backends/net/net_config.ts";
import { net } from "../vmm/virtio/net.ts";
import type { VirtioDeviceType } from "../vmm/virtio/virtio_device.ts";

/** One end of a socket pair, whose other end the device has. */
export class NetPeer {
  /** The device, to be opened once. */
  readonly type: VirtioDeviceType<NetConfig>;
  readonly #fd: number;
  readonly #splitter = new FrameSplitter();
  #closed = false;

  constructor() {
    const [fd, device] = socketPair();
    this.#fd = fd;
    this.type = {
      ...net,
      // deno-lint-ignore require-await -- it is one of an interface that waits
      prepare: async (config) => ({
        config: {
          ...config,
          mac: config.mac ?? "52:54:00:12:34:56",
          opened: { kind: "stream", fd: device },
        },
        // deno-lint-ignore require-await -- the same
        [Symbol.asyncDispose]: async () => {
          closeFile(device);
          this.close();
        },
      }),
    };
    libc.fcntl(device, 4, 0o4002); // F_SETFL: O_RDWR, O_NONBLOCK
  }

  /** Sends a frame to the guest. */
  send(frame: Uint8Array): void {
    const bytes = new Uint8Array(4 + frame.length);
    new DataView(bytes.buffer).setUint32(0, frame.length);
    bytes.set(frame, 4);
    this.sendRaw(bytes);
  }

  /** Sends bytes as they are. */
  sendRaw(bytes: Uint8Array<ArrayBuffer>): void {
    const sent = Number(libc.write(this.#fd, bytes, BigInt(bytes.length)));
    if (sent !== bytes.length) throw new Error(`The socket took ${sent} of ${bytes.length} bytes`);
  }

  /** Takes the frames that the guest has sent. */
  frames(): Uint8Array<ArrayBuffer>[] {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const count = receiveBytes(this.#fd, this.#splitter.room());
      if (count <= 0) return frames;
      this.#splitter.filled(count);
      for (let frame = this.#splitter.next(); frame !== undefined; frame = this.#splitter.next()) {
        frames.push(frame.slice() as Uint8Array<ArrayBuffer>);
      }
    }
  }

  /** Goes. */
  close(): void {
    if (!this.#closed) closeFile(this.#fd);
    this.#closed = true;
  }
}

/**
 * A frame with a recognizable content.
 *
 * @param length Bytes of it
 * @param seed What tells it from others
 */
export function testFrame(length: number, seed = 0): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(length);
  for (let i = 0; i < length; i++) frame[i] = (i * 7 + seed * 13 + (i >> 8)) & 0xff;
  return frame;
}
