// Store paths in the order of their references.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/registration.h"

namespace hostside::nixdb {

using Paths = std::map<std::string, mounts::PathInfo>;

// References before what refers to them, otherwise in the order of paths: that of `nix-store -qR`. A path that refers to
// itself is fine. Errors: a reference that is not among them; a cycle. Each is named.
base::Result<std::vector<mounts::PathInfo>> topological_order(Paths paths);

}  // namespace hostside::nixdb
