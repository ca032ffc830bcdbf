#include "stage1/disk/open_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"

namespace stage1 {

namespace {

constexpr std::string_view use_disk = "use disk";

std::string kind(mode_t mode) {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISREG(mode)) return "a file";
    if (S_ISCHR(mode)) return "a character device";
    if (S_ISFIFO(mode)) return "a FIFO";
    return "a socket";
}

// `held by md0`, as the kernel says; empty if it does not say.
std::string holder(dev_t device) {
    const std::string number = std::format("{}:{}", major(device), minor(device));
    std::error_code ignored;  // without /sys the holder is unknown
    for (const auto &entry : std::filesystem::directory_iterator("/sys/dev/block/" + number + "/holders", ignored))
        return "held by " + entry.path().filename().string();
    return {};
}

}  // namespace

base::Result<base::Fd> open_disk(const std::string &path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) < 0) return base::fail(errno, use_disk, path);
    const bool below_dev = std::filesystem::path(path).lexically_normal().string().starts_with("/dev/");
    if (S_ISLNK(status.st_mode) && !below_dev)
        return base::fail(0, use_disk, path, "a symbolic link outside /dev is not followed; name the device itself");
    const auto named = base::open_at(AT_FDCWD, path, O_PATH);
    if (!named) return base::fail(named.error().code, use_disk, path);
    if (::fstat(named->get(), &status) < 0) return base::fail(errno, use_disk, path);
    if (!S_ISBLK(status.st_mode))
        return base::fail(0, use_disk, path, std::format("is {}, not a block device; nothing was done", kind(status.st_mode)));
    auto disk = base::open_at(AT_FDCWD, std::format("/proc/self/fd/{}", named->get()), O_RDONLY | O_EXCL);
    if (disk) return disk;
    const int code = disk.error().code;
    if (code == EBUSY) {
        const std::string by = holder(status.st_rdev);
        return base::fail(code, use_disk, path, by.empty() ? "another program holds it; nothing was done" : "it is " + by);
    }
    if (code == ENOENT) return base::fail(code, use_disk, path, "/proc is needed, and is not mounted");
    return base::fail(code, use_disk, path);
}

base::Result<base::Fd> open_for_writing(int disk, const mounts::DeviceIdentity &planned, const std::string &path) {
    auto writable = base::open_at(AT_FDCWD, std::format("/proc/self/fd/{}", disk), O_RDWR);
    if (!writable) return base::fail(writable.error().code, "open for writing", path);
    const auto now = mounts::identify(writable->get(), path);
    if (!now) return std::unexpected(now.error());
    if (*now != planned) return base::fail(ESTALE, use_disk, path, "the device was replaced or resized; try again");
    return writable;
}

}  // namespace stage1
