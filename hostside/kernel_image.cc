#include "hostside/kernel_image.h"

#include <unistd.h>

#include <cstring>
#include <format>

#include "hostside/cache.h"
#include "mounts/base/at.h"
#include "mounts/decompress.h"

namespace hostside {

namespace {

uint32_t little_endian(std::string_view data, size_t offset) {
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(data[offset + i]);
    return value;
}

constexpr size_t kernel_limit_bytes = size_t{512} << 20;

}  // namespace

base::Result<std::string> extract_vmlinux(std::string_view bzimage, const std::string &name) {
    if (bzimage.size() < 0x250 || bzimage.substr(0x202, 4) != "HdrS")
        return base::fail(0, "extract vmlinux", name, "not a bzImage");
    const size_t setup_sectors = bzimage[0x1f1] == 0 ? 4 : static_cast<unsigned char>(bzimage[0x1f1]);
    const size_t start = (setup_sectors + 1) * 512 + little_endian(bzimage, 0x248);
    const size_t length = little_endian(bzimage, 0x24c);
    if (start > bzimage.size() || length > bzimage.size() - start)
        return base::fail(0, "extract vmlinux", name, "its payload is cut short");
    auto image = mounts::decompress(bzimage.substr(start, length), name, kernel_limit_bytes);
    if (image && !image->starts_with("\x7f"
                                     "ELF"))
        return base::fail(0, "extract vmlinux", name, "its payload is no ELF file");
    return image;
}

std::string uncompressed_kernel(const std::string &kernel) {
    const auto directory = cache_directory();
    const auto key = cache_key({kernel}, "vmlinux 1");
    if (!directory || !key) return kernel;
    std::string path = std::format("{}/vmlinux-{}", *directory, *key);
    if (::access(path.c_str(), R_OK) == 0) return path;
    const auto bzimage = base::read_file(kernel, kernel_limit_bytes);
    const auto image = bzimage ? extract_vmlinux(*bzimage, kernel) : bzimage;
    return image && base::replace_file(path, *image) ? path : kernel;
}

}  // namespace hostside
