#include "hostside/base/allowance.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <format>

#include "mounts/base/at.h"

namespace hostside {

namespace {

constexpr uint64_t each_bytes = 4096;  // what a file, a directory or a link costs by itself: its inode and its name
constexpr uint64_t most_reserved = uint64_t{1} << 30;
constexpr uint64_t parts = 100;  // of which one is reserved

}  // namespace

// The message has the file system's own path, because a person can make room in that directory.
base::Result<> check_room(uint64_t bytes, int directory) {
    struct statvfs fs{};
    if (::fstatvfs(directory, &fs) < 0) return base::fail(errno, "stat", "file system");
    const uint64_t size = fs.f_blocks * fs.f_frsize, free = fs.f_bavail * fs.f_frsize;
    const uint64_t reserved = std::min(size / parts, most_reserved);
    // Some (btrfs) have no number of inodes.
    const bool inodes = fs.f_files == 0 || fs.f_favail > fs.f_files / parts;
    if (inodes && bytes <= free && free - bytes >= reserved) return {};
    return base::fail(ENOSPC, "make room for the guest's files in", base::path_of(directory, "").value_or(""),
                      inodes ? std::format("{} bytes are free, {} are reserved, and {} are needed", free, reserved, bytes)
                             : "its inodes are almost used up");
}

base::Result<> Allowance::take(uint64_t bytes, int directory) {
    if (most_ != 0) {
        if (left_ < each_bytes || bytes > left_ - each_bytes)
            return base::fail(EFBIG, "take from the guest", "",
                              std::format("the guest sends more than {} bytes in all; raise --max-output to allow that", most_));
        left_ -= bytes + each_bytes;
    }
    return check_room(bytes, directory);
}

}  // namespace hostside
