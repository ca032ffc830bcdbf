// Sorts store paths by their references.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/registration.h"

namespace hostside::nixdb {

using Paths = std::map<std::string, mounts::PathInfo>;

// References come before their referrers, otherwise in the order of paths, as in `nix-store -qR`. A path may refer to itself.
// Error, with its name: a reference that is not in `paths`; a cycle.
base::Result<std::vector<mounts::PathInfo>> topological_order(Paths paths);

}  // namespace hostside::nixdb
