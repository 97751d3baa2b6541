#!/bin/busybox sh
# The first process of a guest, run from the initramfs that machine.py makes:
#   /modules/NN-NAME   modules, in the order in which they are to be loaded
#   /root_folder       which folder of the host's tree is the guest's /, the tree itself then being at /host
#   /command           the shell script to run there
# The guest sees the host's tree read-only below a tmpfs: it may write anywhere, and nothing reaches the host.

/bin/busybox mount -t proc proc /proc
/bin/busybox --install -s /bin
export PATH=/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module" || echo "init: cannot load $module"; done

for _ in 1 2 3 4 5 6 7 8 9 10; do mount -t virtiofs -o ro host /lower && break; sleep 0.1; done 2>/dev/null
mount -t tmpfs tmpfs /changes
mkdir /changes/upper /changes/work
mount -t overlay -o lowerdir=/lower,upperdir=/changes/upper,workdir=/changes/work overlay /tree
root=/tree$(cat /root_folder)
[ "$root" = /tree ] || mount --bind /tree "$root/host"

for folder in /proc /sys /dev; do mount --move $folder "$root$folder"; done
mkdir -p "$root/dev/shm" "$root/dev/pts"
mount -t devpts devpts "$root/dev/pts"
for folder in /run /dev/shm; do mount -t tmpfs tmpfs "$root$folder"; done
mount -t tracefs tracefs "$root/sys/kernel/tracing"
mount -t debugfs debugfs "$root/sys/kernel/debug"
hostname guest
ip link set lo up
stty -onlcr <"$root/dev/console"
cp /command "$root/run/command"

echo '@@READY'
{ chroot "$root" /bin/sh /run/command; echo "@@STATUS $?"; } <"$root/dev/null" 2>&1 | cat   # no terminal
poweroff -f
