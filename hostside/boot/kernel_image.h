// What the launcher needs to know of a kernel file: its release, and the uncompressed kernel inside a bzImage, which
// starts over a second faster under emulation (the x86 boot protocol: Linux, Documentation/arch/x86/boot.rst).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// `6.12.95+deb12-amd64`; empty for a file that is no bzImage.
std::string kernel_release(std::string_view image);

// What a bzImage unpacks into memory, an ELF file. Error: no bzImage, or a compression that we don't know.
base::Result<std::string> kernel_payload(std::string_view image, const std::string &name);

// The ELF inside. Error: no bzImage, a compression that we don't know, or a kernel without QEMU's direct entry (PVH).
base::Result<std::string> uncompressed_kernel(std::string_view image, const std::string &name);

// The bzImage, whose initrd then lies below `limit_bytes` of memory. Error: no bzImage.
base::Result<std::string> initrd_below(std::string image, const std::string &name, uint32_t limit_bytes);

}  // namespace hostside
