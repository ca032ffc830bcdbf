// x-nixos.autoresize: a mounted ext4 is grown to the device that it lies on, by the kernel itself (EXT4_IOC_RESIZE_FS,
// Linux, fs/ext4/ioctl.c), so that the initrd needs no resize2fs.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// One line on what was done; nothing is, when the device has no room for another block group's worth. Error: the file
// system at `target` is no ext4, or the kernel refused, with its reason. Never shrinks.
base::Result<std::string> grow_file_system(const std::string &target);

}  // namespace stage1
