// Finds the block device that `root=` or another device name means, or says which devices exist instead. Searches
// /sys/class/block and probes with libblkid; uses no udev, no /dev/disk links and no cache file. Searches once: to wait for a
// device, call again after a uevent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/devices/device.h"

namespace mounts {

struct DeviceSpec {
    enum class Kind { path, label, uuid, part_label, part_uuid, serial };
    Kind kind = Kind::path;
    std::string value;
    int partition_offset = 0;  // for part_uuid: this many partitions further on its disk (the kernel's /PARTNROFF=)
};

// Accepts `/dev/vda`, `LABEL=nixos`, `UUID=…`, `PARTLABEL=…`, `PARTUUID=…[/PARTNROFF=n]` and `serial=root`. Tags ignore case,
// and their values may be quoted. Also accepts /dev/disk/by-label/… and its siblings, which mean the same and need no udev
// here. EINVAL: none of these, or an empty value.
base::Result<DeviceSpec> parse_device_spec(std::string_view text);

// Returns the path of the device node, such as `/dev/vda`. ENODEV: no such device yet; the hint lists those that exist. EEXIST:
// several devices match and are not members of one btrfs. Only signatures of file systems and swap count, not those of RAID
// members.
base::Result<std::string> find_device(const DeviceSpec &spec);
base::Result<std::string> find_device(std::string_view text);

struct BlockDevice {
    std::string name;  // vda
    uint64_t size_bytes = 0;
    std::string serial;  // empty: none
    Signature signature;
    std::string unreadable;  // why it could not be opened; empty: it could
};

// All devices that have a size, without floppies, sorted by name (vda before vda1 before vda10 before vdb).
std::vector<BlockDevice> list_devices();

// `vda (512 MiB, serial root, ext4 UUID=… LABEL=nixos), vdb (1 GiB, nothing known)`, or `none`.
std::string describe(const std::vector<BlockDevice> &devices);

}  // namespace mounts
