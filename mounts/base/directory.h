// The names in a directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"

namespace base {

using Names = std::vector<std::string>;

// Without `.` and `..`, in no order; of more than `most` the rest is left out. The directory is opened anew, so that an O_PATH
// descriptor will do, and where another reader stands in it stays. `name` is for the error, which is one of open or of reading.
Result<Names> names_in(int directory, std::string_view name, size_t most = SIZE_MAX);
Result<Names> names_in(const std::string &path);

}  // namespace base
