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

struct RootDiskWish {
    std::string qemu, run_folder;
    bool fresh = false;  // one that is there is put aside
};

// What the disk will be; one that is there is held from now on. Makes nothing. Error: in use (by whom), no image, a backing file
// that is gone.
base::Result<RootDisk> look_at_root_disk(const Machine &machine, const RootDiskWish &wish);

// Makes it so. Error: no room, or another made an image there meanwhile, so that it is not what was seen.
base::Result<> make_root_disk(RootDisk &disk, const Machine &machine, const RootDiskWish &wish);

}  // namespace hostside
