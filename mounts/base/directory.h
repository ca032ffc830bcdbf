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

// Without `.` and `..`, unsorted, at most `most` names. Opens the directory again, so an O_PATH descriptor is enough and other
// readers keep their position. `name` is for the error of opening or reading.
Result<Names> names_in(int directory, std::string_view name, size_t most = SIZE_MAX);
Result<Names> names_in(const std::string &path);

}  // namespace base
