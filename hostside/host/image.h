// Makes disk images with qemu-img.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Makes an image of this size with mode 0600 if none exists, with the qemu-img that belongs to this QEMU. Returns true if it
// made one. A killed launcher leaves nothing. Error: no qemu-img, no room, or the path is neither a file nor a block device.
base::Result<bool> ensure_image(const std::string &qemu, const std::string &path, int size_mib,
                                const std::string &format = "qcow2");

// Enlarges an image that nobody uses; keeps its content.
base::Result<> grow_image(const std::string &qemu, const std::string &path, int size_mib, const std::string &format);

// Makes a qcow2 image for one run, over a backing image that stays unchanged.
base::Result<> overlay_image(const std::string &qemu, const std::string &overlay, const std::string &backing,
                             const std::string &backing_format);

}  // namespace hostside
