// The root disk's image, made by qemu-img when there is none.
#pragma once

#include <cstdint>
#include <string>

#include "mounts/base/error.h"

namespace hostside {

// True when it was created now. An image that is there is left as it is, whatever its size. Error: no qemu-img, a
// folder that is not there, no room.
base::Result<bool> ensure_image(const std::string &path, uint64_t size_mib, const std::string &qemu_img);

}  // namespace hostside
