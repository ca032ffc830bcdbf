// The changes of an upper against its lowers, read from the marks on disk. No mount is needed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace unionfs {

enum class Change { added, modified, moved, deleted };

struct Difference {
    Change change;
    std::string path;  // from the union's root, without a leading slash
    mode_t mode;       // of the upper's object; 0 when deleted
    off_t size_bytes;
    std::string from{};  // of a moved directory: its path in the lowers
};

// Sorted by path. A directory that is in both counts as modified only if its own attributes differ. A directory that was moved
// with what the lowers have in it (overlay.redirect) is told once, at its new path, and so is what changed in it.
base::Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers);

}  // namespace unionfs
