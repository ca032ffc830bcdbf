// A Nix database that is not there yet, written as a whole out of a registration.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "stage1/nixdb/registered_closure.h"

namespace stage1::nixdb {

// Into `fd` (borrowed, empty; `name` for errors). Row ids are those that Nix would have given. `root`: the target root's
// descriptor, borrowed, for the .drv files. Errors: a reference to what is not registered; a .drv that cannot be read.
base::Result<> write_database(int fd, const std::string &name, const RegisteredClosure &closure, int root);

}  // namespace stage1::nixdb
