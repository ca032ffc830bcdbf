// Disk images: made with qemu-img, and looked at before QEMU is, for messages that help.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// Makes a qcow2 image of that size, mode 0600, where there is none, with the qemu-img that belongs to this QEMU. True: it was
// made. A launcher that is killed meanwhile leaves nothing.
// Error: no qemu-img, no room, neither a file nor a block device.
base::Result<bool> ensure_image(const std::string &qemu, const std::string &path, int size_mib);

// A qcow2 image for a run, over one that it leaves as it is.
base::Result<> overlay_image(const std::string &qemu, const std::string &overlay, const std::string &backing);

// Error: not there, not to be read, no qcow2 image, a backing file that is gone or no plain file, data in another file.
// `start_over` is the advice then.
base::Result<> check_qcow2(const std::string &path, std::string_view start_over);

// Reads as zeros, all of it: a qcow2 image without a backing file to which nothing was ever written. False also when that
// is not certain.
bool is_empty_qcow2(const std::string &path);

// qcow2 by its magic, else raw. Only for images that no guest writes: a guest could give a raw disk that magic.
base::Result<std::string> format_of(const std::string &path);

}  // namespace hostside
