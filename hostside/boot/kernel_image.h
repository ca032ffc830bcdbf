// What the launcher needs from a kernel file: its release, and the uncompressed kernel inside a bzImage. The latter starts over
// a second faster under emulation (the x86 boot protocol: Linux, Documentation/arch/x86/boot.rst).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// `6.12.95+deb12-amd64`; empty if the file is not a bzImage.
std::string kernel_release(std::string_view image);

// Decompresses a bzImage to an ELF file. Error: not a bzImage, or an unknown compression.
base::Result<std::string> kernel_payload(std::string_view image, const std::string &name);

// The ELF inside a bzImage. Error: not a bzImage, an unknown compression, or no direct entry for QEMU (PVH).
base::Result<std::string> uncompressed_kernel(std::string_view image, const std::string &name);

// Changes a bzImage so that its initrd is loaded below `limit_bytes` of memory. Error: not a bzImage.
base::Result<std::string> initrd_below(std::string image, const std::string &name, uint32_t limit_bytes);

}  // namespace hostside
