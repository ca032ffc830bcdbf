#include "stage1/steps/system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"

namespace stage1 {

using base::fail;
using base::Result;

namespace {

// Whether it is to lie on a disk that cannot be written, however its file system is mounted.
bool on_read_only_disk(std::string path) {
    struct stat st{};
    while (::stat(path.c_str(), &st) < 0 && path.contains('/')) path.resize(path.rfind('/'));
    const auto text = base::read_file(std::format("/sys/dev/block/{}:{}/ro", major(st.st_dev), minor(st.st_dev)), 16);
    return text && text->starts_with('1');
}

std::string_view hint_for(int code, const std::string &path) {
    if (code == EROFS && on_read_only_disk(path))
        return "the disk itself is read-only; this machine needs one that it can write to";
    // A root that somebody else mounted is read-only unless the command line says otherwise: systemd's default.
    if (code == EROFS) return "'rw' among the kernel parameters has the root mounted writable";
    if (code == ENOSPC) return "the file system is full, of data or of inodes; make room in it, or make it larger";
    return {};
}

std::unexpected<base::Error> explained(base::Error error, std::string_view step, const std::string &path) {
    return fail(error.code, step, path, error.hint.empty() ? hint_for(error.code, path) : error.hint);
}

}  // namespace

Result<> make_directory(const mounts::MakeDirectory &step) {
    struct stat before{};
    const bool was_there = ::stat(step.path.c_str(), &before) == 0;
    if (!was_there) {
        if (auto made = base::make_directories_at(AT_FDCWD, step.path); !made) return explained(made.error(), "mkdir", step.path);
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
    if (!fd) return explained(fd.error(), "mark", step.path);
    return {};
}

}  // namespace stage1
