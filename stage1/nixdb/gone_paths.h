// The database's rows of store paths that a rollback of the store's upper took away.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace stage1::nixdb {

// Drops from the target root's database what `store`, a directory's descriptor, has not, and what refers to that, in one
// transaction; returns these store paths. No database: none. Error: one of another schema, which is Nix's own to mend.
base::Result<std::vector<std::string>> drop_gone_paths(int root, int store);

}  // namespace stage1::nixdb
