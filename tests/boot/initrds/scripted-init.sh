#!/bin/sh
# A scripted stage 1 in the order of NixOS's: modules, devices, postDeviceCommands, the fsInfo loop, postMountCommands,
# everything killed that is no root storage daemon, switch_root. stage1's commands stand where a user would put them.

export PATH=/bin
targetRoot=/mnt-root
fail() {
    echo "scripted stage 1: $1 failed" >/dev/console
    sleep 1
    poweroff -f
}

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
exec >/dev/console 2>&1 </dev/null

stage2Init=/init
for word in $(cat /proc/cmdline); do
    case $word in init=*) stage2Init=${word#init=} ;; esac
done
for module in $(cat /etc/modules.list); do modprobe "$module" 2>/dev/null; done
tries=0
while [ ! -e /dev/vda ] && [ $tries -lt 20 ]; do
    sleep 1
    tries=$((tries + 1))
done

# postDeviceCommands
stage1 devices --device /dev/vda || fail 'stage1 devices'

# fsInfo: mount point, device, type, options; one a line
while read -r mountPoint device fsType options; do
    mkdir -p "$targetRoot$mountPoint"
    mount -t "$fsType" -o "$options" "$device" "$targetRoot$mountPoint" || fail "mount $mountPoint"
done <<'FSINFO'
/ /dev/vda ext4 rw
FSINFO

# postMountCommands, twice over: the second run must find everything done
stage1 mounts --target-root $targetRoot || fail 'stage1 mounts'
stage1 mounts --target-root $targetRoot || fail 'stage1 mounts, again'
[ "$(grep -c " $targetRoot/nix/store " /proc/mounts)" = 1 ] || fail 'one mount of the store'
stage1 devices || fail 'stage1 devices, on a disk that is mounted'
stage1 register --target-root $targetRoot || fail 'stage1 register'

# A daemon as a file system's would be, and one that has no right to live on.
# Debian's own sleep, for busybox looks at argv[0].
sh -c 'exec -a @daemon /bin/real-sleep 1000' &
/bin/real-sleep 1001 &
for pid in $(pgrep -v -f '^@'); do
    readlink "/proc/$pid/exe" >/dev/null 2>&1 || continue
    [ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
done

mkdir -m 0755 -p $targetRoot/proc $targetRoot/sys $targetRoot/dev $targetRoot/run
for place in proc sys dev run; do mount --move /$place $targetRoot/$place; done
echo 'scripted stage 1: switching the root'
exec env -i "$(command -v switch_root)" $targetRoot "$stage2Init"
