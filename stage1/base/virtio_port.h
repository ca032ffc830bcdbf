// A virtio-serial port by its name: ports are numbered, and no udev has made /dev/virtio-ports in stage 1.
#pragma once

#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

// For both ways, non-blocking. ENODEV: the machine has none; EBUSY: another process has it.
base::Result<base::Fd> open_virtio_port(std::string_view name);

}  // namespace stage1
