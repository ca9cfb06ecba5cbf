/** The first file system of a Linux guest: busybox and an init that does what the test asks for. */
import { cpio } from "../../vmm/boot/cpio.ts";

/**
 * The guest's init. `hvsh.do=` on the kernel's command line chooses how it goes on. A `script` is
 * the file /script of another archive behind this one, and its end turns the guest off; `root` is the
 * root file system on the first disk, as its own init finds it.
 *
 * A shell gets a session of its own with the console as its controlling terminal (setsid,
 * cttyhack), so that ^C works, and its end turns the guest off: an init that ends is a kernel
 * panic. `reboot -f` and `poweroff -f` go straight to reboot(2).
 */
const INIT = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
echo "hvsh-guest: up, $($b nproc) cpus"
# Lets modprobe find what another archive brings.
modules() {
  $b mkdir -p /lib/modules
  $b ln -s /modules "/lib/modules/$($b uname -r)"
}

action=shell
for word in $($b cat /proc/cmdline); do
  case $word in hvsh.do=*) action=\${word#hvsh.do=} ;; esac
done
case $action in
  poweroff) $b poweroff -f ;;
  reboot) $b reboot -f ;;
  panic) echo c > /proc/sysrq-trigger ;;
  spin) while :; do :; done ;;
  script)
    modules
    HOME=/root PATH=/bin $b sh /script
    echo "hvsh-guest: status $?"
    $b poweroff -f
    ;;
  root)
    modules
    $b modprobe -a virtio_pci virtio_blk
    $b mkdir /new
    $b mount -t ext4 /dev/vda /new
    for folder in dev proc sys; do $b mount --move /$folder /new/$folder; done
    exec $b switch_root /new /sbin/init
    ;;
  shell) ;;
  *) echo "hvsh-guest: unknown hvsh.do=$action, a shell instead" ;;
esac
$b mkdir -p /tmp /root
$b --install -s /bin
export HOME=/root PATH=/bin TERM="\${TERM:-linux}"
cd /root
setsid cttyhack sh
poweroff -f
`;

/**
 * Builds the initramfs, uncompressed: unpacking one in the guest costs it more than the bytes.
 *
 * @param busybox a statically linked busybox
 * @returns the cpio archive
 */
export function initramfs(busybox: Uint8Array): Uint8Array {
  return cpio([
    { path: "dev", type: "directory" },
    // The kernel opens it for init's stdin, stdout and stderr before anything is mounted.
    { path: "dev/console", type: "device", major: 5, minor: 1 },
    { path: "proc", type: "directory" },
    { path: "sys", type: "directory" },
    { path: "bin", type: "directory" },
    { path: "bin/busybox", type: "file", data: busybox, mode: 0o755 },
    { path: "bin/sh", type: "symlink", target: "busybox" },
    { path: "init", type: "file", data: new TextEncoder().encode(INIT), mode: 0o755 },
  ]);
}
