// Which block device a `root=` (or any other device name) means, and what there is instead when it isn't there.
// Looks in /sys/class/block and probes with libblkid; no udev, no /dev/disk links, no cache file. Looks once: whoever
// waits for a device calls again after a uevent.
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
    int partition_offset = 0;  // of part_uuid: so many partitions further on its disk (the kernel's /PARTNROFF=)
};

// Tags in either case, with or without quotes around their value:
// `/dev/vda`, `LABEL=nixos`, `UUID=…`, `PARTLABEL=…`, `PARTUUID=…[/PARTNROFF=n]`, `serial=root`; also /dev/disk/by-label/… and
// its siblings, which mean the same and need no udev here. EINVAL: none of these, or an empty value.
base::Result<DeviceSpec> parse_device_spec(std::string_view text);

// The path of the node, `/dev/vda`. ENODEV: not there (yet); the hint lists what is. EEXIST: several match, which is an
// error but for the members of one btrfs. Signatures count when they are a file system's or swap's, not a RAID member's.
base::Result<std::string> find_device(const DeviceSpec &spec);
base::Result<std::string> find_device(std::string_view text);

struct BlockDevice {
    std::string name;  // vda
    uint64_t size_bytes = 0;
    std::string serial;  // empty: has none
    Signature signature;
    std::string unreadable;  // why it could not be opened; empty: it could
};

// All that have a size, in the order of their names (vda before vda1 before vda10 before vdb); no floppies.
std::vector<BlockDevice> list_devices();

// `vda (512 MiB, serial root, ext4 UUID=… LABEL=nixos), vdb (1 GiB, nothing known)`, or `none`.
std::string describe(const std::vector<BlockDevice> &devices);

}  // namespace mounts
