// A kernel to boot under emulation: the vmlinux inside a bzImage. QEMU starts an uncompressed kernel by its PVH entry,
// which spares the guest from decompressing itself: more than a second without KVM.
#pragma once

#include <string>
#include <string_view>

#include "mounts/base/error.h"

namespace hostside {

// The ELF image in a bzImage's bytes (Linux, arch/x86/boot.rst: setup_sects, payload_offset, payload_length). Error:
// not a bzImage, or a compression that is not known here (gzip, xz, zstd are).
base::Result<std::string> extract_vmlinux(std::string_view bzimage, const std::string &name);

// The path of an uncompressed copy in the cache; the kernel's own path when none can be made.
std::string uncompressed_kernel(const std::string &kernel);

}  // namespace hostside
