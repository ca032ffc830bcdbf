// The state of the root disk's image before a run, which decides what to do with it.
#pragma once

#include <cstdint>
#include <string>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct RootImageFacts {
    bool there = false;
    bool device = false;      // a block device, which can't be moved aside or enlarged
    bool empty = false;       // it is known to read as zeros
    bool promised = true;     // the guest may be told so, because the image is locked until QEMU runs
    std::string put_aside;    // an unused name for it, if it is to be moved aside
    uint64_t size_bytes = 0;  // size of the virtual disk; 0: unknown
    std::string made_for{};   // the system that its stamp names; empty: no stamp
};

// Error: in use (and by which process), not an image, or a backing file is missing. `fresh`: move an existing image aside.
base::Result<RootImageFacts> look_at_root_image(const Machine &machine, bool fresh);

// For a snapshot, which many machines use as a backing image at once. Error: not an image, or it refers to other files.
base::Result<RootImageFacts> saved_root_image(const Machine &machine);

// The file beside an image that names the system it was made for.
std::string stamp_of(const std::string &image);
// Its text. Empty: none, or something that is no file, because others may be able to write to the image's directory.
std::string stamp_text(const std::string &image);

}  // namespace hostside
