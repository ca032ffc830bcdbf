// A wish that lives on the disk until a boot has fulfilled it: that what this machine added to its store be gone. A mounted
// union's upper is not touched.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

inline constexpr const char *rollback_mark = "rollback";  // beside the upper

// Leaves the wish in `target_root`, on the disk when this returns. Error: the store has no upper there, or one in memory.
base::Result<std::string> ask_for_rollback(const std::string &target_root);

}  // namespace stage1
