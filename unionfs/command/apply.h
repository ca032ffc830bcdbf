// Applies an upper's changes to a plain directory, which is a copy of the lower or the lower itself: afterwards the directory is
// what the union showed. The upper stays as it is.
#pragma once

#include <cstddef>
#include <string>

#include "mounts/base/error.h"

namespace unionfs {

struct Applied {
    size_t objects = 0, removed = 0;
    bool resumed = false;  // an interrupted run was completed
};

// Safe to run again after an interruption, with the same upper. Error before anything is changed: the directory is the host's
// Nix store, one contains the other, a moved directory does not exist, or another upper's apply is unfinished there.
base::Result<Applied> apply_upper(const std::string &upper, const std::string &directory);

}  // namespace unionfs
