// Removes the content of a directory that others filled, at any depth.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace base {

// Removes everything in `directory`, whatever its modes. Does not enter other file systems mounted inside. `path` is for the
// error, which names what could not be removed; the rest is gone.
Result<> empty_directory(int directory, const std::string &path);

}  // namespace base
