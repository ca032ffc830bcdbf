// Writes an empty qcow2 image over another one. qemu-img would do the same, but each restored machine needs one, and to start
// qemu-img takes longer than the image.
#pragma once

#include <string>

#include "mounts/base/error.h"

namespace hostside {

// What such an image consists of; empty if only qemu-img can make it. `backing` is an absolute path, and `size_bytes` the size of
// its virtual disk.
std::string qcow2_overlay(const std::string &backing, const std::string &backing_format, uint64_t size_bytes);

}  // namespace hostside
