// Writes a whole new Nix database from a registration.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "stage1/nixdb/registered_closure.h"

namespace stage1::nixdb {

// Writes to `fd` (borrowed, empty; `name` for errors). Row ids are the same as Nix would assign. `root`: the target root's
// descriptor, borrowed, for the .drv files. Error: a reference to an unregistered path, or a .drv that cannot be read.
base::Result<> write_database(int fd, const std::string &name, const RegisteredClosure &closure, int root);

}  // namespace stage1::nixdb
