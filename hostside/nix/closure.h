// Reads closures from another owner's Nix database. Changes nothing in it or beside it.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/registration.h"

namespace hostside::nixdb {

// The closures of these store paths. Each path appears once, after its references, as in `nix-store -qR`; references are in the
// order of `nix-store --dump-db`. `database` is a db.sqlite. Error, with its name: a schema newer than 10, a path that is not
// valid there, a cycle.
base::Result<std::vector<mounts::PathInfo>> closure(const std::string &database, const std::vector<std::string> &paths);

// Error: one of these store paths is not valid there. A path that is has its closure.
base::Result<> check_valid(const std::string &database, const std::vector<std::string> &paths);

// The store path that `path` is, is in, or links to (./result). Error: it leads elsewhere.
base::Result<std::string> store_path(const std::string &path);

}  // namespace hostside::nixdb
