// Disk images, by qemu-img: made when absent, never touched when there.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// True: it was created. Error: qemu-img is not there or failed, with what it said.
base::Result<bool> ensure_image(const std::string &path, int size_mib);

// A throw-away layer over an image: writes go to `overlay`, the image stays as it is.
base::Result<> overlay_image(const std::string &overlay, const std::string &backing);

}  // namespace hostside
