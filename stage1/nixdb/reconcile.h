// Drops rows of store paths that are gone or of which only changes are left. This happens when a persistent upper or an old
// disk is used with another lower store. Also drops their referrers, because the references of a valid path must be valid.
// Keeps every path that the registration has.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/registered_closure.h"
#include "stage1/nixdb/store_layers.h"

namespace stage1::nixdb {

// Returns the dropped store paths. `others`: the rows to check, none of them in the registration. `store`: the merged store's
// descriptor, borrowed. `layers`: the layers beneath it. `strict`: refuse instead of dropping.
base::Result<std::vector<std::string>> reconcile(mounts::Database &database, const RegisteredClosure &closure,
                                                 const std::vector<int64_t> &others, int store, const StoreLayers &layers,
                                                 bool strict);

}  // namespace stage1::nixdb
