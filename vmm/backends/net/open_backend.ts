/**
 * From an opened backend to its code on the I/O thread.
 *
 * @module
 */
import type { NetBackend } from "./net_backend.ts";
import type { OpenedBackend } from "./net_config.ts";
import { SlirpBackend } from "./slirp.ts";
import { StreamBackend } from "./stream.ts";
import { TapBackend } from "./tap.ts";

/**
 * Makes a backend of what was prepared.
 *
 * @param opened What was opened
 * @param now Milliseconds of the monotonic clock that all threads share
 * @returns The backend, which waits for nothing yet
 */
export function openBackend(opened: OpenedBackend, now: () => number): NetBackend {
  switch (opened.kind) {
    case "tap":
      return new TapBackend(opened.fds);
    case "stream":
      return new StreamBackend(opened.fd);
    case "slirp":
      return new SlirpBackend(opened.forwards, opened.mtu, now);
  }
}
