#include "stage1/disk/grow.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <format>

#include "mounts/base/at.h"
#include "mounts/devices/device.h"

namespace stage1 {

namespace {

constexpr unsigned long resize_request = _IOW('f', 16, uint64_t);  // EXT4_IOC_RESIZE_FS: the new size in blocks

// The size of the block device behind a mounted file system. sysfs always counts sectors of 512 bytes.
base::Result<uint64_t> device_size_bytes(dev_t device, const std::string &target) {
    const std::string path = std::format("/sys/dev/block/{}:{}/size", major(device), minor(device));
    const auto text = base::read_file(path, 64);
    if (!text) return base::fail(text.error().code, "grow", target, "its block device is not known");
    return std::strtoull(text->c_str(), nullptr, 10) * 512;
}

}  // namespace

base::Result<std::string> grow_file_system(const std::string &target) {
    auto root = base::open_at(AT_FDCWD, target, O_RDONLY | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    struct statfs fs{};
    struct stat st{};
    if (::fstatfs(root->get(), &fs) < 0 || ::fstat(root->get(), &st) < 0) return base::fail(errno, "grow", target);
    if (fs.f_type != EXT4_SUPER_MAGIC) return base::fail(0, "grow", target, "only an ext4 can be grown while it is mounted");
    const auto size_bytes = device_size_bytes(st.st_dev, target);
    if (!size_bytes) return std::unexpected(size_bytes.error());
    const auto block_bytes = static_cast<uint64_t>(fs.f_bsize);
    uint64_t blocks = *size_bytes / block_bytes;
    // If the file system already has this size, the kernel changes nothing.
    if (::ioctl(root->get(), resize_request, &blocks) < 0)
        return base::fail(errno, "grow", target, std::format("to the {} of its device", mounts::size_text(*size_bytes)));
    struct statfs after{};
    if (::fstatfs(root->get(), &after) < 0) return base::fail(errno, "grow", target);
    if (after.f_blocks == fs.f_blocks) return std::format("grow: {} fills its device already", target);
    return std::format("grow: {} has {} now, and had {}", target, mounts::size_text(after.f_blocks * block_bytes),
                       mounts::size_text(fs.f_blocks * block_bytes));
}

}  // namespace stage1
