// Opens a disk so that nobody else has it: a block device, O_EXCL (which fails for one that is mounted, swapped on, part
// of a RAID or held by another program), for reading only. Who holds it is named in the Error.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/devices/device.h"

namespace stage1 {

// A symbolic link is followed below /dev, where only the administrator and udev make them, and nowhere else.
base::Result<base::Fd> open_disk(const std::string &path);

// A second descriptor, for writing, of the device that `disk` has open exclusively; ESTALE when it is another device
// than `planned` by now. `disk` must stay open for as long as this one is written to.
base::Result<base::Fd> open_for_writing(int disk, const mounts::DeviceIdentity &planned, const std::string &path);

}  // namespace stage1
