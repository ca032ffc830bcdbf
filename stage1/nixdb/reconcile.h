// Rows of store paths that are gone: a persistent upper or an old disk whose lower store has moved on. Dropped, and with
// them what refers to them, for a valid path's references are valid; what the registration has just confirmed stays.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/registered_closure.h"

namespace stage1::nixdb {

// The store paths that were dropped. `others`: the rows to look at, none of them the registration's. `store`: the merged
// store's descriptor, borrowed. `strict`: refuse instead.
base::Result<std::vector<std::string>> reconcile(mounts::Database &database, const RegisteredClosure &closure,
                                                 const std::vector<int64_t> &others, int store, bool strict);

}  // namespace stage1::nixdb
