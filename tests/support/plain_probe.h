// What libblkid finds on a device when nothing hastens it: the reference for mounts::probe().
#pragma once

#include "mounts/devices/device.h"

namespace support {

// Of the device or file open as `fd`. The errno of an unreadable one is left out.
mounts::Signature plain_probe(int fd);

}  // namespace support
