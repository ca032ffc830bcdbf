// Drops the database's rows of store paths that a rollback of the store's upper removed.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace stage1::nixdb {

// Drops the rows of paths that are not in `store` (a directory's descriptor) and their referrers from the target root's
// database, in one transaction. Returns these paths; none without a database. Error: another schema, which only Nix can repair.
base::Result<std::vector<std::string>> drop_gone_paths(int root, int store);

}  // namespace stage1::nixdb
