// What a machine added to its store: the valid paths that are its own, as the upper alone has them.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1::nixdb {

// Their registration, as `nix-store --dump-db` has it. The guest may be at work meanwhile. Error: the store has no union.
base::Result<std::string> registration_of_new_paths(const std::string &target_root);

}  // namespace stage1::nixdb
