#include "stage1/system.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "mounts/base/at.h"

namespace stage1 {

using base::fail;
using base::Result;

Result<> make_directory(const mounts::MakeDirectory &step) {
    struct stat before{};
    const bool was_there = ::stat(step.path.c_str(), &before) == 0;
    if (!was_there) {
        if (auto made = base::make_directories_at(AT_FDCWD, step.path); !made) {
            auto error = made.error();
            error.path = step.path;
            return std::unexpected(std::move(error));
        }
    } else if (!S_ISDIR(before.st_mode)) {
        return fail(ENOTDIR, "mkdir", step.path, "something else is there; move it away");
    }
    const bool wrong_mode = was_there ? step.enforce_mode && (before.st_mode & 07777) != step.mode : step.mode != 0755;
    if (wrong_mode && ::chmod(step.path.c_str(), step.mode) < 0) return fail(errno, "chmod", step.path);
    return {};
}

Result<> mark_file(const mounts::MarkFile &step) {
    struct stat st{};
    if (::lstat(step.path.c_str(), &st) == 0) {
        if (S_ISREG(st.st_mode)) return {};
        return fail(S_ISDIR(st.st_mode) ? EISDIR : EEXIST, "mark", step.path,
                    "it must be a regular file; move what is there away");
    }
    auto fd = base::open_at(AT_FDCWD, step.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (!fd) {
        auto error = fd.error();
        error.step = "mark";
        return std::unexpected(std::move(error));
    }
    return {};
}

}  // namespace stage1
