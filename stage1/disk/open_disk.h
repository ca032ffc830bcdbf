// Opens a disk exclusively and for reading only. O_EXCL fails if the disk is mounted, used for swap, part of a RAID or held by
// another program; the Error names the holder.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/devices/device.h"

namespace stage1 {

// Follows a symbolic link only below /dev, because only the administrator and udev create links there.
base::Result<base::Fd> open_disk(const std::string &path);

// A second descriptor, for writing, of the device that `disk` holds exclusively. ESTALE: it is no longer the device `planned`.
// `disk` must stay open while this descriptor is used.
base::Result<base::Fd> open_for_writing(int disk, const mounts::DeviceIdentity &planned, const std::string &path);

}  // namespace stage1
