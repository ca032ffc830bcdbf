#include "stage1/steps/system.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "stage1/steps/target.h"

namespace stage1 {

using base::fail;
using base::Result;

namespace {

// Whether the path is on a disk that cannot be written, no matter how its file system is mounted.
bool on_read_only_disk(std::string path) {
    struct stat st{};
    while (::stat(path.c_str(), &st) < 0 && path.contains('/')) path.resize(path.rfind('/'));
    const auto text = base::read_file(std::format("/sys/dev/block/{}:{}/ro", major(st.st_dev), minor(st.st_dev)), 16);
    return text && text->starts_with('1');
}

std::string_view hint_for(int code, const std::string &path) {
    if (code == EROFS && on_read_only_disk(path))
        return "the disk itself is read-only; this machine needs one that it can write to";
    // A root that another program mounted is read-only by default; systemd does that.
    if (code == EROFS) return "the kernel parameter 'rw' mounts the root writable";
    if (code == ENOSPC) return "the file system is full, of data or of inodes; make room in it, or make it larger";
    return {};
}

std::unexpected<base::Error> explained(base::Error error, std::string_view step, const std::string &path) {
    return fail(error.code, step, path, error.hint.empty() ? hint_for(error.code, path) : error.hint);
}

}  // namespace

Result<> make_directory(const mounts::MakeDirectory &step) {
    const auto target = open_target(step.root, step.path);
    if (!target) return explained(target.error(), "mkdir", step.path);
    auto there = base::open_in_root(target->root.get(), target->path, O_PATH);
    const bool was_there = there.has_value();
    if (!was_there) there = base::make_directories_in_root(target->root.get(), target->path);
    if (!there) return explained(there.error(), "mkdir", step.path);
    struct stat st{};
    if (::fstat(there->get(), &st) < 0) return fail(errno, "stat", step.path);
    if (!S_ISDIR(st.st_mode)) return fail(ENOTDIR, "mkdir", step.path, "something else is there; move it away");
    const bool wrong_mode = was_there ? step.enforce_mode && (st.st_mode & 07777) != step.mode : step.mode != 0755;
    if (!wrong_mode) return {};
    const auto directory = base::open_at(there->get(), ".", O_RDONLY | O_DIRECTORY);
    if (!directory) return explained(directory.error(), "chmod", step.path);
    if (::fchmod(directory->get(), step.mode) < 0) return fail(errno, "chmod", step.path);
    return {};
}

Result<> mark_file(const mounts::MarkFile &step) {
    const auto target = open_target(step.root, step.path);
    if (!target) return explained(target.error(), "mark", step.path);
    if (const auto there = base::open_in_root(target->root.get(), target->path, O_PATH | O_NOFOLLOW)) {
        struct stat st{};
        if (::fstat(there->get(), &st) < 0) return fail(errno, "stat", step.path);
        if (S_ISREG(st.st_mode)) return {};
        return fail(S_ISDIR(st.st_mode) ? EISDIR : EEXIST, "mark", step.path,
                    "it must be a regular file; move what is there away");
    }
    const size_t slash = target->path.rfind('/');
    const auto directory = base::open_in_root(target->root.get(), target->path.substr(0, slash + 1), O_PATH | O_DIRECTORY);
    if (!directory) return explained(directory.error(), "mark", step.path);
    const auto file =
        base::open_at(directory->get(), target->path.substr(slash + 1), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (!file) return explained(file.error(), "mark", step.path);
    return {};
}

Result<> keep_visible(const mounts::KeepVisible &step) {
    const std::string directory = "systemd/system.control/tmp.mount.d";
    const auto run = base::open_at(AT_FDCWD, "/run", O_PATH | O_DIRECTORY);
    if (!run) return std::unexpected(run.error());
    if (auto made = base::make_directories_at(run->get(), directory); !made) return made;
    return base::replace_file("/run/" + directory + "/stage1.conf", "[Unit]\nConditionPathIsMountPoint=!" + step.place + "\n");
}

}  // namespace stage1
