// libblkid's findings on a device, without our optimizations: the reference for mounts::probe().
#pragma once

#include "mounts/devices/device.h"

namespace support {

// Probes the device or file open as `fd`. Omits the errno of an unreadable one.
mounts::Signature plain_probe(int fd);

}  // namespace support
