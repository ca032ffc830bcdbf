// A request on the disk: the next boot removes what this machine added to its store, then the request. The upper of a mounted
// union is not touched.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1 {

inline constexpr const char *rollback_mark = "rollback";  // next to the upper

// Writes the request in `target_root`; it is durable when this returns. Error: the store has no upper there, or it is in
// memory.
base::Result<std::string> ask_for_rollback(const std::string &target_root);

}  // namespace stage1
