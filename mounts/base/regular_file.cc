#include "mounts/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "mounts/base/at.h"

namespace base {

namespace {

std::unexpected<Error> refused(const std::string &path) {
    return fail(0, "open", path, "not a regular file but a link, a FIFO or a device; it was not opened");
}

Result<Fd> if_regular(Result<Fd> file, const std::string &path) {
    struct stat st{};
    if (file && ::fstat(file->get(), &st) < 0) return fail(errno, "stat", path);
    if (file && !S_ISREG(st.st_mode)) return refused(path);
    return file;
}

}  // namespace

Result<Fd> open_regular(int dir, const std::string &path, int flags, mode_t mode) {
    struct stat st{};
    if (::fstatat(dir, path.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode)) return refused(path);
    return if_regular(open_at(dir, path, flags | O_NOFOLLOW | O_NONBLOCK, mode), path);
}

Result<Fd> open_regular_in_root(int root, const std::string &path) {
    const auto there = if_regular(open_in_root(root, path, O_PATH), path);
    if (!there) return std::unexpected(there.error());
    return if_regular(open_in_root(root, path, O_RDONLY | O_NONBLOCK), path);
}

}  // namespace base
