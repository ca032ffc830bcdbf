// The file behind a loop device (loop(4)). The file system knows the file's holes; the device does not report them.
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

// Flushes the device first, so that the file has everything that was written to it. Empty for another block device, for a
// partition, and if the file is gone or was replaced.
std::optional<LoopFile> file_behind(const std::string &device);

}  // namespace hostside
