// A Nix database that belongs to somebody else: only read.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"

namespace hostside::nixdb {

// With locks and the log where they can be had; on a read-only file system without, if there is no log to miss. Errors: it is
// not there; another schema than 10.
base::Result<mounts::Database> open_database(const std::string &path);

}  // namespace hostside::nixdb
