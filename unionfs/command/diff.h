// The changes of an upper against its lowers, read from the marks on disk. This needs no mount.
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
    mode_t mode;       // of the upper's object; 0 if deleted
    off_t size_bytes;
    std::string from{};  // for a moved directory: its path in the lowers
};

// Sorted by path. A directory in both counts as modified only if its own attributes differ. A directory that was moved together
// with its lowers' content (overlay.redirect) appears once, at its new path. So do the changes in it.
base::Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers);

}  // namespace unionfs
