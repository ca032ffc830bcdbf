#include "unionfs/upper/workdir.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <format>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "unionfs/upper/layers.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

using base::fail;
using base::Fd;
using base::Result;

Fd open_inside(int dir, const char *name, int flags, mode_t mode) {
    open_how how{};
    how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    return Fd(static_cast<int>(::syscall(SYS_openat2, dir, name, &how, sizeof how)));
}

std::string why_no_note(const struct stat &status, off_t most_bytes) {
    if (!S_ISREG(status.st_mode)) return "is not a regular file";
    if (status.st_nlink > 1) return "has another hard link";
    if (status.st_size > most_bytes) return "is larger than unionfs writes it";
    return {};
}

namespace {

// The default workdir: a hidden directory beside the upper.
std::string default_work(std::string upper) {
    while (upper.size() > 1 && upper.ends_with('/')) upper.pop_back();
    const size_t name = upper.rfind('/') + 1;  // 0 if there is no slash
    return upper.substr(0, name) + "." + upper.substr(name) + ".work";
}

std::string in_workdir(const Layers &layers, const char *name) { return layers.options.work + "/" + name; }

// The directory must belong to us or to the workdir's owner. Anyone else's was moved here so that we would empty it.
Result<> check_owner(const struct stat &status, uid_t or_owner, const std::string &path) {
    if (status.st_uid == ::geteuid() || status.st_uid == or_owner) return {};
    return fail(0, "workdir", path, "belongs to uid " + std::to_string(status.st_uid) + "; remove it or choose another workdir");
}

Result<FdRef> open_directory(const Layers &layers, const Fd &workdir, const char *name, int flags) {
    const std::string path = in_workdir(layers, name);
    if (::mkdirat(workdir.get(), name, 0700) < 0 && errno != EEXIST) return fail(errno, "workdir", layers.options.work);
    struct stat at_workdir{}, status{};
    if (::fstat(workdir.get(), &at_workdir) < 0) return fail(errno, "workdir", layers.options.work);
    if (::fstatat(workdir.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
        return fail(0, "workdir", path, "is a symbolic link");
    const Fd place = open_inside(workdir.get(), name, O_PATH | O_DIRECTORY);
    if (!place && errno == EXDEV) return fail(0, "workdir", path, "is a mount point");
    if (!place || ::fstat(place.get(), &status) < 0) return fail(errno, "workdir", path);
    if (status.st_dev != at_workdir.st_dev) return fail(0, "workdir", path, "is on another file system");
    if (auto result = check_owner(status, at_workdir.st_uid, path); !result) return std::unexpected(result.error());
    // If others could write here, they could exchange what we make while we work on it.
    if (::fchownat(place.get(), "", ::geteuid(), static_cast<gid_t>(-1), AT_EMPTY_PATH) < 0)
        if (auto result = check_owner(status, ::geteuid(), path); !result) return std::unexpected(result.error());
    (void)set_mode(place.get(), 0700);  // rootless overlayfs leaves mode 0
    // What is made here would inherit the workdir's default ACL.
    for (const char *acl : {"system.posix_acl_default", "system.posix_acl_access"}) (void)remove_xattr(place.get(), "", acl);
    Fd directory = open_inside(place.get(), ".", flags);
    if (!directory) return fail(errno, "workdir", path);
    return std::make_shared<const Fd>(std::move(directory));
}

Result<> check_removals(const Layers &layers) {
    struct stat status{};
    const std::string path = in_workdir(layers, "links/removed");
    if (::fstatat(layers.links->get(), "removed", &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? Result<>{} : fail(errno, "workdir", path);
    if (const std::string reason = why_no_note(status, most_removals); !reason.empty()) return fail(0, "workdir", path, reason);
    return {};
}

// Returns 0 if there is none.
pid_t parent_of(pid_t process) {
    const std::string text = base::read_file(std::format("/proc/{}/status", process)).value_or("");
    constexpr std::string_view key = "\nPPid:\t";
    pid_t parent = 0;
    if (const size_t at = text.find(key); at != std::string::npos)
        (void)std::from_chars(text.data() + at + key.size(), text.data() + text.size(), parent);
    return parent;
}

// The process that holds the lock. If several share it, this is the supervisor, which started the others. 0: none that we may
// see. Reads only text files in /proc (proc_pid_fdinfo(5), "lock:"), because touching another process's open file could hang on
// a dead server.
pid_t holder_of(const Fd &locked) {
    struct stat wanted{};
    std::set<pid_t> holders;
    if (::fstat(locked.get(), &wanted) < 0) return 0;
    // Inode numbers repeat across disks. On btrfs, the kernel prints a different device than stat(2), so no process is found.
    const std::string file = std::format(" {:02x}:{:02x}:{} ", major(wanted.st_dev), minor(wanted.st_dev), wanted.st_ino);
    for (const std::string &process : base::names_in("/proc").value_or(base::Names{})) {
        pid_t pid = 0;
        if (std::from_chars(process.data(), process.data() + process.size(), pid).ptr != process.data() + process.size())
            continue;
        if (pid == ::getpid()) continue;
        const std::string directory = "/proc/" + process + "/fdinfo";
        for (const std::string &number : base::names_in(directory).value_or(base::Names{})) {
            const auto info = base::read_file(directory + "/" + number);
            const size_t lock = info ? info->find("FLOCK") : std::string::npos;
            if (lock != std::string::npos && info->find(file, lock) != std::string::npos) holders.insert(pid);
        }
    }
    // A worker shares its supervisor's lock. Either can have the lower process number.
    const auto first = std::ranges::find_if(holders, [&](pid_t pid) { return !holders.contains(parent_of(pid)); });
    return first == holders.end() ? 0 : *first;
}

}  // namespace

Result<> lock_branch(const Fd &directory, const char *what, const std::string &path) {
    constexpr int attempts = 300;
    for (int i = 0; ::flock(directory.get(), LOCK_EX | LOCK_NB) < 0; ++i) {
        if (errno != EWOULDBLOCK) return {};  // the file system has no locks
        if (i == attempts) {
            const pid_t holder = holder_of(directory);
            return fail(
                0, what, path,
                "is in use by another mount" + (holder == 0 ? std::string{} : ", served by process " + std::to_string(holder)));
        }
        ::usleep(10000);
    }
    return {};
}

Result<Fd> open_workdir(Layers &layers, const struct stat &upper) {
    const bool is_default = layers.options.work.empty();
    if (is_default) layers.options.work = default_work(layers.options.upper);
    const size_t name = layers.options.work.rfind('/') + 1;
    if (is_default) {
        auto above = open_branch(layers.options, name == 0 ? "." : layers.options.work.substr(0, name));
        if (!above) return above;
        if (::mkdirat(above->get(), layers.options.work.c_str() + name, 0700) < 0 && errno != EEXIST)
            return fail(errno, "workdir", layers.options.work, "choose one with workdir=");
    }
    auto workdir = open_branch(layers.options, layers.options.work, is_default ? O_NOFOLLOW : 0);
    if (!workdir) return workdir;
    struct stat status{};
    if (::fstat(workdir->get(), &status) < 0) return fail(errno, "workdir", layers.options.work);
    if (status.st_dev != upper.st_dev) return fail(0, "workdir", layers.options.work, "must be on the upper's file system");
    if (is_default)
        if (auto result = check_owner(status, upper.st_uid, layers.options.work); !result) return std::unexpected(result.error());
    return std::move(*workdir);
}

Result<> open_work_directories(Layers &layers, const Fd &workdir) {
    auto work = open_directory(layers, workdir, "work", O_RDONLY | O_DIRECTORY);
    if (!work) return std::unexpected(work.error());
    auto links = open_directory(layers, workdir, "links", O_PATH | O_DIRECTORY);
    if (!links) return std::unexpected(links.error());
    layers.work = std::move(*work);
    if (auto result = lock_branch(*layers.work, "workdir", layers.options.work); !result) return result;
    layers.links = std::move(*links);
    return check_removals(layers);
}

namespace {

bool is_removed(int dir, const char *name) {
    if (::unlinkat(dir, name, 0) == 0) return true;
    return (errno == EISDIR || errno == EPERM) && ::unlinkat(dir, name, AT_REMOVEDIR) == 0;
}

}  // namespace

// Removes what a crash left behind. Nobody ever saw it.
void Layers::clean_work(std::vector<std::string> kept) {
    std::ranges::sort(kept);
    for (const std::string &name : base::names_in(work->get(), options.work).value_or(base::Names{}))
        if (!std::ranges::binary_search(kept, name)) discard(name);
}

// Moves subdirectories up into the work directory, so that depth costs neither stack nor descriptors. What can't be removed
// now, such as a mount point, is retried at the next mount.
void Layers::discard(const std::string &first) {
    std::vector<std::string> left{first};
    for (size_t i = 0; i < left.size(); ++i) {
        if (is_removed(work->get(), left[i].c_str())) continue;
        const Fd directory = open_inside(work->get(), left[i].c_str(), O_RDONLY | O_DIRECTORY);
        if (!directory) continue;
        for (const std::string &name : base::names_in(directory.get(), left[i]).value_or(base::Names{})) {
            if (is_removed(directory.get(), name.c_str())) continue;
            std::string moved;
            int error = 0;
            do {
                moved = work_name();
                error = ::renameat(directory.get(), name.c_str(), work->get(), moved.c_str()) < 0 ? errno : 0;
            } while (error == EEXIST || error == ENOTEMPTY);  // left by an earlier mount
            if (error == 0) left.push_back(std::move(moved));
        }
        (void)::unlinkat(work->get(), left[i].c_str(), AT_REMOVEDIR);
    }
}

}  // namespace unionfs
