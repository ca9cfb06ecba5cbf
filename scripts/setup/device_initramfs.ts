/**
 * What a Linux guest needs besides its first file system to use virtio devices: the kernel's modules,
 * a program that tries them, and busybox's commands by their names. It is an archive to be given behind
 * `initramfs.cpio`, so that guests without such devices have nothing more to unpack.
 */
import { cpio, type CpioEntry } from "../../vmm/boot/cpio.ts";
import { packModules } from "./kernel_modules.ts";

/** The drivers; what they need in turn comes from modules.dep. */
const MODULES = [
  "virtio_pci",
  "virtio_mmio",
  "virtio_blk",
  "virtio_net",
  "virtio_console",
  "virtio-rng",
  "virtio_balloon",
  "vmw_vsock_virtio_transport",
  "virtiofs",
  "wdat_wdt",
  "overlay",
];

/**
 * What udhcpc does with what it is told (busybox, examples/udhcp/simple.script).
 */
const UDHCPC = `#!/bin/sh
case $1 in
  bound | renew)
    ip addr replace "$ip/\${mask:-24}" dev "$interface"
    for via in $router; do ip route replace default via "$via"; done
    for server in $dns; do echo "nameserver $server"; done > /etc/resolv.conf
    ;;
esac
`;

/**
 * Builds the archive, uncompressed.
 *
 * @param modules the kernel's lib/modules/VERSION, see {@linkcode packModules}; `modprobe` finds them
 * @param applets the names of busybox's commands
 * @param probe the program of scripts/guest/probe.c, or undefined without a compiler
 * @returns the cpio archive
 * @throws {SetupError} if the kernel has not these modules
 */
export async function deviceInitramfs(
  modules: string,
  applets: readonly string[],
  probe: Uint8Array | undefined,
): Promise<Uint8Array> {
  const text = (words: string) => new TextEncoder().encode(words);
  const entries: CpioEntry[] = ["etc", "etc/udhcpc", "mnt", "root", "tmp"]
    .map((path) => ({ path, type: "directory" }));
  for (const applet of applets) {
    entries.push({ path: `bin/${applet}`, type: "symlink", target: "busybox" });
  }
  const script = { type: "file", data: text(UDHCPC), mode: 0o755 } as const;
  entries.push({ path: "etc/udhcpc/default.script", ...script });
  if (probe !== undefined) {
    entries.push({ path: "bin/probe", type: "file", data: probe, mode: 0o755 });
  }
  entries.push(...await packModules(modules, MODULES));
  return cpio(entries);
}
