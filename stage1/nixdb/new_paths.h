// The valid paths that a machine added to its store; only the upper has them.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace stage1::nixdb {

// Their registration in the format of `nix-store --dump-db`. The guest may be active during this. Error: the store has no
// union.
base::Result<std::string> registration_of_new_paths(const std::string &target_root);

}  // namespace stage1::nixdb
