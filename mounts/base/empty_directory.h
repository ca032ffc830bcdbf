// Removes what somebody else left in a directory, however deep.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace base {

// All that is in `directory`, whatever its modes; another file system that is mounted inside is not entered. `path` is for the
// error: what could not be removed; the rest is gone.
Result<> empty_directory(int directory, const std::string &path);

}  // namespace base
