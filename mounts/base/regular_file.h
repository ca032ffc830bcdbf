// Files where somebody else may have put a link, a FIFO or a device: opened only when they are regular files, and nobody waits.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace base {

// openat(2) of a regular file, or a new one; a link in the last place is not followed. An Error without errno: something
// else is there, which was not opened: a device may act on that.
Result<Fd> open_regular(int dir, const std::string &path, int flags, mode_t mode = 0);

// To read, links followed as in open_in_root.
Result<Fd> open_regular_in_root(int root, const std::string &path);

}  // namespace base
