// Drops rows of store paths that are gone or of which only changes are left. This happens when a persistent upper or an old
// disk is used with another lower store. Also drops their referrers, because the references of a valid path must be valid.
// Keeps every path that the registration has.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/store_layers.h"

namespace stage1::nixdb {

// The store paths that were dropped. `registered`: whether the registration has a path, which stays then. `others`: the rows to
// look at, none of them the registration's. `store`: the merged store's descriptor, borrowed. `layers`: beneath it. `strict`:
// refuse instead.
base::Result<std::vector<std::string>> reconcile(mounts::Database &database,
                                                 const std::function<bool(std::string_view path)> &registered,
                                                 const std::vector<int64_t> &others, int store, const StoreLayers &layers,
                                                 bool strict);

}  // namespace stage1::nixdb
