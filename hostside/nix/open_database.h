// Opens another owner's Nix database, for reading only.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"

namespace hostside::nixdb {

// Opens it with locks and log if possible. On a read-only file system it opens without them if the log is empty. Error: it does
// not exist, or its schema is not 10.
base::Result<mounts::Database> open_database(const std::string &path);

}  // namespace hostside::nixdb
