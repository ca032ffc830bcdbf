// The paths of a Nix database, and the registration of those that are new since the last look.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside::nixdb {

// A path that was removed and added again has another row.
using ValidPaths = std::map<int64_t, std::string>;

// All paths except derivations and their referrers, because no build reads those.
struct Snapshot {
    ValidPaths paths;
    std::string registration;  // of the paths that are not in `known`, each after its references
};
base::Result<Snapshot> snapshot(const std::string &database, const ValidPaths &known);

}  // namespace hostside::nixdb
