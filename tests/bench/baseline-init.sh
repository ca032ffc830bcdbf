#!/bin/sh
# The baseline of bench-boot: stage 1 in the 2013 module's design, a shell script over Debian's mount, modprobe, blkid,
# mke2fs and unionfs-fuse. Its marks in the kernel's log are what the benchmark reads.

# Full paths: this busybox would run its own applets before Debian's programs.
export PATH=/bin
targetRoot=/mnt-root
union=off stage2Init=/init

/bin/mount -t proc proc /proc
/bin/mount -t sysfs sysfs /sys
/bin/mount -t devtmpfs devtmpfs /dev
/bin/mount -t tmpfs -o mode=755 tmpfs /run
ln -sf /proc/mounts /etc/mtab
echo on >/proc/sys/kernel/printk_devkmsg
for word in $(cat /proc/cmdline); do
    case $word in
    init=*) stage2Init=${word#init=} ;;
    stage1.union=*) union=${word#stage1.union=} ;;
    esac
done

echo 'baseline: modules' >/dev/kmsg
for module in $(cat /etc/modules.list); do /bin/modprobe "$module"; done
tries=0
while [ ! -e /dev/vda ] && [ $tries -lt 200 ]; do
    sleep 0.05
    tries=$((tries + 1))
done
echo 'baseline: devices' >/dev/kmsg
if [ -z "$(/bin/blkid -o value -s TYPE /dev/vda)" ]; then /bin/mke2fs -q -t ext4 -F -L nixos /dev/vda; fi

echo 'baseline: mounts' >/dev/kmsg
mkdir -p $targetRoot
/bin/mount -t ext4 /dev/vda $targetRoot
share() { mkdir -p "$targetRoot$2" && /bin/mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000$3" "$1" "$targetRoot$2"; }
if [ "$union" = off ]; then
    share store /nix/store ,cache=loose
else
    share store /nix/.ro-store ,cache=loose
    mkdir -p $targetRoot/nix/.rw-store $targetRoot/nix/store
    [ "$union" = disk ] || /bin/mount -t tmpfs -o mode=755 tmpfs $targetRoot/nix/.rw-store
    mkdir -p $targetRoot/nix/.rw-store/store
    /bin/unionfs -o allow_other,cow,nonempty,chroot=$targetRoot,max_files=32768,hide_meta_files \
        /nix/.rw-store/store=RW:/nix/.ro-store=RO $targetRoot/nix/store
fi
share xchg /tmp/xchg ,cache=mmap
share shared /tmp/shared ,cache=mmap

echo 'baseline: system' >/dev/kmsg
mkdir -m 0755 -p $targetRoot/etc $targetRoot/proc $targetRoot/sys $targetRoot/dev $targetRoot/run
touch $targetRoot/etc/NIXOS
chmod 1777 $targetRoot/tmp
for place in proc sys dev run; do /bin/mount --move /$place $targetRoot/$place; done
exec switch_root $targetRoot "$stage2Init"
