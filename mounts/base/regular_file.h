// Opens files in places where somebody may have put a link, a FIFO or a device. Opens regular files only, and never blocks.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace base {

// openat(2) of an existing or new regular file. Does not follow a link in the last component. An Error without errno: the name
// is something else, and it was not opened, because opening a device may have an effect.
Result<Fd> open_regular(int dir, const std::string &path, int flags, mode_t mode = 0);

// For reading; follows links as open_in_root does.
Result<Fd> open_regular_in_root(int root, const std::string &path);

}  // namespace base
