// What an upper changed against its lowers, read from the marks on disk; no mount is needed.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace unionfs {

enum class Change { added, modified, deleted };

struct Difference {
    Change change;
    std::string path;  // from the union's root, without a leading slash
    mode_t mode;       // of the upper's object; 0 when deleted
    off_t size_bytes;
};

// Sorted by path. A folder that is in both counts as modified only if its own attributes differ.
base::Result<std::vector<Difference>> differences(const std::string &upper, const std::vector<std::string> &lowers);

}  // namespace unionfs
