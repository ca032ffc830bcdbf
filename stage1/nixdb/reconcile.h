// Rows of store paths that are gone: a persistent upper or an old disk whose lower store has moved on. Dropped, and with
// them what refers to them, for a valid path's references are valid; what the registration has just confirmed stays.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/database.h"
#include "stage1/nixdb/loader.h"

namespace stage1::nixdb {

// The store paths that were dropped. `store`: the merged store's descriptor, borrowed. `strict`: refuse instead.
base::Result<std::vector<std::string>> reconcile(mounts::Database &database, const Loader &loader, int store, bool strict);

}  // namespace stage1::nixdb
