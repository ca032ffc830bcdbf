#include "hostside/host/run_directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "hostside/base/printable.h"
#include "hostside/host/guest_files.h"
#include "hostside/host/last_run.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// A machine NAME has the directory NAME and the lock NAME.lock. An image's lock begins with a dot; no machine's name does.
constexpr std::string_view lock_suffix = ".lock", image_prefix = ".image-";

Result<> private_directory(const std::string &path) {
    if (::mkdir(path.c_str(), 0700) < 0 && errno != EEXIST)
        return fail(errno, "mkdir", path, "set XDG_RUNTIME_DIR to a directory that you can write to");
    struct stat st{};
    if (::lstat(path.c_str(), &st) < 0) return fail(errno, "stat", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != ::geteuid() || (st.st_mode & 077) != 0)
        return fail(0, "use", path, "it must be your own directory with mode 0700; remove it, or set XDG_RUNTIME_DIR");
    return {};
}

// A lock in the runtime directory. A machine's lock also has the path of its directory. Either one may exist without the other.
struct Lock {
    std::string path, directory;
};

std::vector<Lock> locks_in(const std::string &parent) {
    std::vector<Lock> locks;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(parent, error)) {
        std::string path = entry.path();
        const std::string name = entry.path().filename();
        if (name.starts_with(image_prefix)) locks.push_back({path, ""});
        if (name.starts_with('.')) continue;
        const bool directory = entry.is_directory(error);
        if (directory) locks.push_back({path + std::string(lock_suffix), path});
        if (directory || !name.ends_with(lock_suffix)) continue;
        const std::string of = path.substr(0, path.size() - lock_suffix.size());
        if (!fs::is_directory(of, error)) locks.push_back({path, of});
    }
    return locks;
}

// Cleans up after killed launchers: locks that nobody holds, and the machines' directories. With `name`, only that machine's.
void sweep_abandoned(const std::string &parent, const std::string &name = {}) {
    for (const auto &lock : locks_in(parent)) {
        if (!name.empty() && lock.directory != parent + "/" + name) continue;
        if (FileLock::holder(lock.path) != 0) continue;
        auto ours = FileLock::take(lock.path, lock.path);  // removed when it is released
        if (!ours || lock.directory.empty()) continue;
        keep_abandoned_run(lock.directory);
        (void)remove_guest_directory(lock.directory);  // the next start with this name reports failures
    }
}

}  // namespace

std::string runtime_directory_path() {
    const char *runtime = std::getenv("XDG_RUNTIME_DIR");
    return runtime != nullptr && *runtime == '/' ? std::string(runtime) + "/runvm" : std::format("/tmp/runvm-{}", ::geteuid());
}

Result<std::string> runtime_directory() {
    const std::string path = runtime_directory_path();
    if (auto made = private_directory(path); !made) return std::unexpected(made.error());
    return path;
}

Result<std::string> own_directory_path(const std::string &parent, const std::string &name, const std::optional<User> &owner) {
    const std::string path = parent + "/" + name;
    auto dir = base::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    if (!dir) return std::unexpected(dir.error());
    struct stat st{};
    if (::fstat(dir->get(), &st) < 0) return fail(errno, "stat", parent);
    const bool everybody_writes = (st.st_mode & 022) != 0;
    const bool others_write = (st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0;
    if ((st.st_uid != ::geteuid() && st.st_uid != 0) || others_write)
        return fail(0, "use", path, std::format("others can change files in {}; name a directory of your own", parent));
    auto directory = base::open_beneath(dir->get(), name, O_RDONLY | O_DIRECTORY);
    if (!directory && (directory.error().code == ELOOP || directory.error().code == ENOTDIR))
        return fail(directory.error().code, "use", path, "it must be a directory; remove what is there");
    if (!directory && directory.error().code != ENOENT) return fail(directory.error().code, "use", path);
    if (directory && ::fstat(directory->get(), &st) < 0) return fail(errno, "stat", path);
    // If others can write to the parent, QEMU's user could move its directory away. So ownership alone is not enough.
    const bool owners = owner && st.st_uid == owner->uid && !everybody_writes;
    if (directory && st.st_uid != ::geteuid() && !owners)
        return fail(0, "use", path, "it belongs to another user, who could read and write the guest's files; remove it");
    return base::path_of(dir->get(), parent).transform([&](const std::string &real) { return real + "/" + name; });
}

Result<std::string> own_directory(const std::string &parent, const std::string &name, const std::optional<User> &owner) {
    auto path = own_directory_path(parent, name, owner);
    if (!path) return path;
    if (::mkdir(path->c_str(), 0700) < 0 && errno != EEXIST) return fail(errno, "mkdir", *path);
    auto there = own_directory_path(parent, name, owner);  // what is there now, whoever made it
    if (!there || !owner) return there;
    auto directory = base::open_at(AT_FDCWD, *there, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!directory) return std::unexpected(directory.error());
    if (::fchown(directory->get(), owner->uid, owner->gid) < 0) return fail(errno, "chown", *there);
    return there;
}

Result<RunDirectory> RunDirectory::create(const std::string &name, bool another) {
    const bool is_file_name = !name.empty() && !name.starts_with('.') && !name.contains('/') && printable(name) == name;
    if (!is_file_name || name.starts_with('-') || name.ends_with(lock_suffix))
        return fail(
            0, "use name", name,
            "a machine's name must not be empty, have '/' or control characters, begin with '.' or '-', or end in '.lock'");
    auto parent = runtime_directory();
    if (!parent) return std::unexpected(parent.error());
    sweep_abandoned(*parent);
    constexpr int most_of_one_name = 100;
    std::string path = *parent + "/" + name;
    auto lock = FileLock::take(path + std::string(lock_suffix), "machine " + name);
    // Without a code: it is held. Any other failure, such as a full disk, would meet the next name too.
    for (int n = 2; !lock && lock.error().code == 0 && another && n < most_of_one_name; ++n) {
        path = std::format("{}/{}-{}", *parent, name, n);
        lock = FileLock::take(path + std::string(lock_suffix), "machine " + name);
    }
    if (!lock) return std::unexpected(lock.error());
    if (auto swept = remove_guest_directory(path); !swept) return std::unexpected(swept.error());
    if (auto made = private_directory(path); !made) return std::unexpected(made.error());
    return RunDirectory(path, std::move(*lock));
}

void keep_if_abandoned(const std::string &name) {
    if (auto parent = runtime_directory()) sweep_abandoned(*parent, name);
}

RunDirectory::~RunDirectory() {
    if (lock_.held()) (void)remove_guest_directory(path_);  // the next start removes the rest
}

Result<std::vector<Running>> running_machines() {
    auto parent = runtime_directory();
    if (!parent) return std::unexpected(parent.error());
    std::vector<Running> result;
    for (const auto &lock : locks_in(*parent)) {
        if (lock.directory.empty()) continue;
        if (const long holder = FileLock::holder(lock.path); holder != 0)
            result.push_back({fs::path(lock.directory).filename(), lock.directory, holder});
    }
    std::ranges::sort(result, {}, &Running::name);
    return result;
}

namespace {

std::string image_lock(const std::string &parent, const struct stat &image) {
    return std::format("{}/{}{}-{}", parent, image_prefix, image.st_dev, image.st_ino);
}

}  // namespace

Result<> image_is_free(const std::string &path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) return fail(errno, "stat", path);
    return FileLock::is_free(image_lock(runtime_directory_path(), st), path);
}

Result<FileLock> lock_image(const std::string &path) {
    auto parent = runtime_directory();
    if (!parent) return std::unexpected(parent.error());
    for (;;) {
        struct stat before{}, now{};
        if (::stat(path.c_str(), &before) < 0) return fail(errno, "stat", path);
        auto lock = FileLock::take(image_lock(*parent, before), path);
        // Another process may have moved it aside before we had the lock.
        if (!lock || (::stat(path.c_str(), &now) == 0 && now.st_dev == before.st_dev && now.st_ino == before.st_ino)) return lock;
    }
}

}  // namespace hostside
