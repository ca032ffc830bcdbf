// Which paths a Nix database has, and the registration of some of them: what came since one looked last.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside::nixdb {

// A path that went and came back has another row.
using ValidPaths = std::map<int64_t, std::string>;

// All of the paths but derivations, and what refers to one, because no build reads them.
struct Snapshot {
    ValidPaths paths;
    std::string registration;  // of those that `known` has not, each after those that it refers to
};
base::Result<Snapshot> snapshot(const std::string &database, const ValidPaths &known);

}  // namespace hostside::nixdb
