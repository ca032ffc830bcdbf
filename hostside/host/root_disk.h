// The root disk's image as it is before a run: what is looked at to know what will be made of it.
#pragma once

#include <cstdint>
#include <string>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct RootImageFacts {
    bool there = false;
    bool device = false;      // a block device, which is neither put aside nor made larger
    bool empty = false;       // it reads as zeros, and is known to
    bool promised = true;     // and the guest may be told so, because it is held until QEMU runs
    std::string put_aside;    // a name that is free for it, if it is to be put aside
    uint64_t size_bytes = 0;  // of the disk that it is; 0: not known
    std::string made_for{};   // the system that its stamp names; empty: it has none
};

// Error: in use (by whom), no image, a backing file that is gone. `fresh`: an image that is there is put aside.
base::Result<RootImageFacts> look_at_root_image(const Machine &machine, bool fresh);

// The file beside an image that says what it was made for.
std::string stamp_of(const std::string &image);

}  // namespace hostside
