// The file behind a loop device (loop(4)), which knows its holes where the device does not.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "mounts/base/fd.h"

namespace hostside {

struct LoopFile {
    base::Fd file;              // opened for reading
    off_t from = 0, until = 0;  // the part that is the device
};

// Whatever was written to the device is in the file then. Nothing for another block device, a partition, or a file that is gone.
std::optional<LoopFile> file_behind(const std::string &device);

}  // namespace hostside
