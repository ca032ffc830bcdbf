// The bytes of an empty qcow2 image with a backing file. qemu-img would make the same image, but each restored machine needs one,
// and starting qemu-img takes longer than writing it. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace hostside {

// Empty if only qemu-img can make the image. `backing` is an absolute path; `size_bytes` is the size of its virtual disk.
std::string qcow2_overlay(const std::string &backing, const std::string &backing_format, uint64_t size_bytes);

}  // namespace hostside
