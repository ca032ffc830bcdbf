// Disks of the machine that have no driver: the reason why an expected device does not appear.
#pragma once

#include <string>

namespace mounts {

// The module that would drive such a disk, for example `virtio_blk`. Empty: there is no such disk, or its type is unknown.
// Covers only virtio, whose devices tell their type.
std::string missing_disk_driver();

}  // namespace mounts
