#!/bin/busybox sh
# The init of the emulated host. Up to READY it runs once, when the snapshot is built; each call
# goes on from there. The process outside talks through five virtio-serial ports: 1 control,
# 2 stdin, 3 stdout, 4 stderr, 5 a pulse (see machine.ts). Disks: vda programs of the host, vdb npm
# packages and guests, vdc the project, vdd the call's instructions and then the tar of what goes back.
b=/bin/busybox

# Programs that shut themselves in (passt) put another root in place of theirs, which the kernel
# allows for any root but the initramfs (pivot_root(2)). So the files move to a tmpfs first.
if [ "$1" != moved ]; then
  files=$(echo /*)
  $b mkdir /new
  $b mount -t tmpfs -o mode=755 tmpfs /new
  $b cp -a $files /new
  exec $b switch_root /new /init moved
fi

$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
for module in $($b cat /modules/order); do $b insmod "/modules/$module"; done
$b --install -s /bin 2>/dev/null
export PATH=/opt/host/bin:/bin HOME=/root
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for folder in /dev/shm /tmp /run; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
mkdir -p -m 700 /run/user/0
ln -s /proc/self/fd /dev/fd
ln -s /proc/self/fd/0 /dev/stdin
ln -s /proc/self/fd/1 /dev/stdout
ln -s /proc/self/fd/2 /dev/stderr
ln -s /opt/material/guests/modules "/lib/modules/$(uname -r)"
ip link set lo up
# A way out that leads nowhere, with addresses of RFC 5737: user networking wants a host with one.
ip addr add 192.0.2.2/24 dev dummy0
ip link set dummy0 up
ip route add default via 192.0.2.1
mount -t ext4 -o ro /dev/vda /opt/host

# The command sees pipes: a port can be opened only once, and is neither a file nor a pipe.
mkfifo /run/stdin /run/stdout /run/stderr /run/start
cat < /dev/vport0p2 > /run/stdin &
cat < /run/stdout > /dev/vport0p3 &
cat < /run/stderr > /dev/vport0p4 &
cat < /dev/vport0p5 > /dev/null &
exec 3<> /dev/vport0p1 4< /run/stdin 8> /run/stdout 9> /run/stderr

# The command's session, ready to go. A shell runs a script line by line as it reads it, and the
# instructions end with exec, so that what comes behind them on the disk is never read.
setsid sh -c 'read -r go < /run/start; . /dev/vdd' <&4 >&8 2>&9 3>&- 4>&- 8>&- 9>&- &
session=$!

# Brings deno's pages into the page cache, where the snapshot keeps them.
cd /tmp
echo 'Deno.test("warm", () => {});' > warm_test.ts
deno test --no-check warm_test.ts > warm.log 2>&1 || cat warm.log > /dev/ttyS0
rm -rf /root/.cache warm_test.ts warm.log
cd /

echo READY >&3
read -r mark <&3
echo go > /run/start
wait $session
status=$?
# Behind everything that the command wrote, through the same pipes: a process that it left
# running may keep them open for ever, so their end says nothing.
printf %s "$mark" >&8
printf %s "$mark" >&9
echo "$status" >&3
# Then what is to go back is asked for, if anything is.
read -r pack <&3
eval "$pack"
echo $? >&3
while :; do sleep 1000; done
