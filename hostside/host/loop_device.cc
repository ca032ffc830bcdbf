#include "hostside/host/loop_device.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <format>

#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::Fd;

// A loop device's numbers in sysfs; a partition of it has no such directory.
std::string path_of_file(const struct stat &device) {
    auto path =
        base::read_file(std::format("/sys/dev/block/{}:{}/loop/backing_file", major(device.st_rdev), minor(device.st_rdev)));
    if (!path || path->empty() || path->front() != '/') return "";
    if (path->ends_with('\n')) path->pop_back();
    return *path;
}

// The path may lead to another file by now. Only the device's own file is opened.
Fd open_same(const std::string &path, const struct loop_info64 &info) {
    const Fd place(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat st{};
    if (!place || ::fstat(place.get(), &st) < 0 || !S_ISREG(st.st_mode)) return {};
    if (st.st_ino != info.lo_inode || st.st_dev != info.lo_device) return {};
    return Fd(::open(std::format("/proc/self/fd/{}", place.get()).c_str(), O_RDONLY | O_CLOEXEC));
}

}  // namespace

std::optional<LoopFile> file_behind(const std::string &device) {
    const Fd fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat st{};
    if (!fd || ::fstat(fd.get(), &st) < 0 || !S_ISBLK(st.st_mode)) return std::nullopt;
    const std::string path = path_of_file(st);
    struct loop_info64 info{};
    // Data in the device's cache is not in the file yet.
    if (path.empty() || ::fsync(fd.get()) < 0 || ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) < 0) return std::nullopt;
    LoopFile behind{.file = open_same(path, info), .from = static_cast<off_t>(info.lo_offset)};
    const off_t size = ::lseek(fd.get(), 0, SEEK_END);
    if (!behind.file || size <= 0 || ::fstat(behind.file.get(), &st) < 0) return std::nullopt;
    behind.until = behind.from + size;
    // The file was truncated since, so the device's end can't be read.
    if (behind.until > st.st_size) return std::nullopt;
    return behind;
}

}  // namespace hostside
