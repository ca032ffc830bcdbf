// Opens a virtio-serial port by name. Ports are numbered, and stage 1 has no udev that would create /dev/virtio-ports.
#pragma once

#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

// Non-blocking, for reading and writing. ENODEV: the machine has no such port; EBUSY: another process has it.
base::Result<base::Fd> open_virtio_port(std::string_view name);

}  // namespace stage1
