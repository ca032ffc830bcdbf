// Disks that the machine has and nothing drives: why a device that is waited for does not come.
#pragma once

#include <string>

namespace mounts {

// `virtio_blk`: the module that would drive one; empty: there is no such disk, or it can't be told. Of virtio alone, whose
// devices say what they are.
std::string missing_disk_driver();

}  // namespace mounts
