// The root disk's image: made when it is absent, locked against a second machine, put aside or laid under a throw-away one
// where that was asked for.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/file_lock.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct RootDisk {
    std::string image;               // empty: none
    bool empty = false;              // nothing was ever written to it
    std::vector<FileLock> locks;     // for as long as the machine runs
    std::vector<std::string> notes;  // for a person
};

// Error: in use (by whom), no room, no image, a backing file that is gone.
base::Result<RootDisk> make_root_disk(const Machine &machine, const std::string &qemu, const std::string &run_folder, bool fresh);

}  // namespace hostside
