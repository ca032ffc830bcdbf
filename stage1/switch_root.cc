#include "stage1/switch_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <format>
#include <memory>

#include "mounts/base/at.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

// Frees the initramfs: removes all that lies on the device of `dir`, whose ownership it takes. Other file systems are
// not entered. What cannot be removed stays: memory, nothing more.
void remove_contents(base::Fd dir_fd, dev_t device) {
    const int fd = dir_fd.release();
    const std::unique_ptr<DIR, decltype(&::closedir)> dir(::fdopendir(fd), &::closedir);
    while (const dirent *entry = dir ? ::readdir(dir.get()) : nullptr) {
        const std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        struct stat st{};
        if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != device) continue;
        const bool is_directory = S_ISDIR(st.st_mode);
        if (is_directory)
            if (auto sub = base::open_at(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)) remove_contents(std::move(*sub), device);
        (void)::unlinkat(fd, name.c_str(), is_directory ? AT_REMOVEDIR : 0);
    }
}

// Only a root that is an initramfs may be emptied; anything else is somebody's disk.
bool is_initramfs(int fd) {
    struct statfs fs{};
    return ::fstatfs(fd, &fs) == 0 && (fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
}

// Stage 2 does not wait for it: a child removes, as util-linux's switch_root has one do, and stage 2 reaps it.
void free_initramfs(base::Fd root, dev_t device) {
    const pid_t child = ::fork();
    if (child > 0) return;
    remove_contents(std::move(root), device);
    if (child == 0) ::_exit(0);
}

}  // namespace

Result<> check_init(const std::string &target_root, const std::string &init) {
    auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (!root)
        return fail(root.error().code, "find init", init,
                    std::format("'{}' is no target root: nothing is mounted there", target_root));
    auto file = base::open_in_root(root->get(), init, O_PATH);
    if (!file) {
        auto error = file.error();
        error.step = "find init";
        error.hint = std::format("there is no such file in the target root {}: is the store mounted, and init= of this closure?",
                                 target_root);
        return std::unexpected(std::move(error));
    }
    struct stat st{};
    if (::fstat(file->get(), &st) < 0) return fail(errno, "stat", init);
    if (!S_ISREG(st.st_mode)) return fail(0, "find init", init, "not a regular file");
    if ((st.st_mode & 0111) == 0) return fail(EACCES, "find init", init, "the file is not executable");
    return {};
}

base::Error switch_root(const std::string &target_root, const std::string &init) {
    base::Fd old_root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat st{};
    if (!old_root || ::fstat(old_root.get(), &st) < 0) return fail(errno, "open", "/").error();
    for (const char *mount : {"/proc", "/sys", "/dev", "/run"}) {
        const std::string target = target_root + mount;
        if (::mount(mount, target.c_str(), nullptr, MS_MOVE, nullptr) < 0 && errno != EINVAL)
            return fail(errno, "move mount", target).error();
    }
    if (::chdir(target_root.c_str()) < 0) return fail(errno, "chdir", target_root).error();
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) < 0) return fail(errno, "move the root mount", target_root).error();
    if (::chroot(".") < 0 || ::chdir("/") < 0) return fail(errno, "chroot", target_root).error();
    if (is_initramfs(old_root.get())) free_initramfs(std::move(old_root), st.st_dev);

    // Stage 2 begins as a fresh PID 1: no signal ignored or blocked.
    sigset_t none;
    sigemptyset(&none);
    (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execl(init.c_str(), init.c_str(), nullptr);
    return fail(errno, "exec", init,
                errno == ENOENT ? "its interpreter (the #! line, or the dynamic loader) is not in the target root" : "")
        .error();
}

}  // namespace stage1
