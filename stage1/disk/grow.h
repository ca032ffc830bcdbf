// x-nixos.autoresize: grows a mounted ext4 to the size of its device. The kernel does the work (EXT4_IOC_RESIZE_FS, Linux,
// fs/ext4/ioctl.c), so the initrd needs no resize2fs.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

// Returns one line about what was done. Does nothing if the device has no room for another block group. Error: the file system
// at `target` is not ext4, or the kernel refused. Never shrinks.
base::Result<std::string> grow_file_system(const std::string &target);

}  // namespace stage1
