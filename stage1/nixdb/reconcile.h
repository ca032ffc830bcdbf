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

// Returns the dropped store paths. `registered`: whether the registration has a path, which then stays. `others`: the rows to
// check, none of them in the registration. `store`: the merged store's descriptor, borrowed. `layers`: the layers beneath it.
// `strict`: refuse instead of dropping.
base::Result<std::vector<std::string>> reconcile(mounts::Database &database,
                                                 const std::function<bool(std::string_view path)> &registered,
                                                 const std::vector<int64_t> &others, int store, const StoreLayers &layers,
                                                 bool strict);

}  // namespace stage1::nixdb
