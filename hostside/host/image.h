// Disk images, made with qemu-img.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Makes an image of that size, mode 0600, where there is none, with the qemu-img that belongs to this QEMU. True: it was
// made. A launcher that is killed meanwhile leaves nothing.
// Error: no qemu-img, no room, neither a file nor a block device.
base::Result<bool> ensure_image(const std::string &qemu, const std::string &path, int size_mib,
                                const std::string &format = "qcow2");

// An image that nobody uses becomes larger; what is in it stays.
base::Result<> grow_image(const std::string &qemu, const std::string &path, int size_mib, const std::string &format);

// A qcow2 image for a run, over one that it leaves as it is.
base::Result<> overlay_image(const std::string &qemu, const std::string &overlay, const std::string &backing,
                             const std::string &backing_format);

}  // namespace hostside
