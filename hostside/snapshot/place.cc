#include "hostside/snapshot/place.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"

namespace hostside {

namespace {

using base::fail;
using base::Fd;
using base::Result;
namespace fs = std::filesystem;

constexpr std::array files{snapshot_memory, snapshot_state, snapshot_disk, snapshot_manifest};
constexpr std::string_view in_the_making = ".part-";

Result<Fd> open_directory(const std::string &path) { return base::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); }

// Removes only our own files, because others may have put files there. `held` is the directory, whatever its path leads to.
void remove_files(const Fd &held, const std::string &directory) {
    for (const auto name : files) (void)::unlinkat(held.get(), std::string(name).c_str(), 0);
    (void)::rmdir(directory.c_str());
}

bool is_ours(const Fd &directory) {
    struct stat st{};
    return ::fstat(directory.get(), &st) == 0 && st.st_uid == ::geteuid();
}

Result<> may_be_replaced(const std::string &path) {
    auto there = open_directory(path);
    if (!there) return std::unexpected(there.error());
    if (::access((path + "/" + std::string(snapshot_manifest)).c_str(), F_OK) < 0)
        return fail(0, "replace", path, "it is not a snapshot; name another place");
    if (::flock(there->get(), LOCK_EX | LOCK_NB) < 0)
        return fail(0, "replace", path, "a machine made from it is running; end that machine, or name another place");
    return {};
}

// Writes everything to disk before the final name marks it as complete.
Result<> sync_files(const std::string &directory) {
    for (const auto name : files) {
        auto file = base::open_at(AT_FDCWD, directory + "/" + std::string(name), O_RDONLY);
        if (!file && file.error().code == ENOENT) continue;
        if (!file || ::fsync(file->get()) < 0) return fail(file ? errno : file.error().code, "write", directory);
    }
    return {};
}

}  // namespace

Result<NewSnapshot> NewSnapshot::begin(const std::string &named, bool replace) {
    fs::path path = fs::absolute(named).lexically_normal();
    if (path.filename().empty()) path = path.parent_path();
    sweep_snapshots(path);
    struct stat st{};
    if (::lstat(path.c_str(), &st) == 0) {
        if (!replace) return fail(EEXIST, "make snapshot", path.string(), "pass --fresh to replace it, or name another");
        if (auto free = may_be_replaced(path); !free) return std::unexpected(free.error());
    } else if (errno != ENOENT) {
        return fail(errno, "make snapshot", path.string());
    }
    std::string part = path.string() + std::string(in_the_making) + "XXXXXX";
    if (::mkdtemp(part.data()) == nullptr) return fail(errno, "make snapshot", path.string());
    auto held = open_directory(part);
    if (!held || ::flock(held->get(), LOCK_EX | LOCK_NB) < 0)
        return fail(held ? errno : held.error().code, "make snapshot", part);
    return NewSnapshot(path, std::move(part), std::move(*held), replace);
}

Result<> NewSnapshot::finish() {
    if (auto written = sync_files(part_); !written) return written;
    if (replace_ && ::access(path_.c_str(), F_OK) == 0) {
        if (auto free = may_be_replaced(path_); !free) return free;
        if (::syscall(SYS_renameat2, AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) < 0)
            return fail(errno, "replace", path_);
        return {};  // the old snapshot now has the temporary name and is removed with this object
    }
    if (::syscall(SYS_renameat2, AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) < 0)
        return fail(errno, "name", path_);
    return {};
}

void NewSnapshot::abandon(const std::string &part) {
    if (const auto left = open_directory(part); left && is_ours(*left)) remove_files(*left, part);
}

NewSnapshot::~NewSnapshot() {
    if (held_.valid()) abandon(part_);  // after finish() nothing has this name, or the snapshot that was replaced
}

void sweep_snapshots(const std::string &named) {
    const fs::path path = named;
    const std::string parent = path.parent_path();
    const std::string prefix = path.filename().string() + std::string(in_the_making);
    const auto around = open_directory(parent);
    const auto names = around ? base::names_in(around->get(), parent) : std::unexpected(around.error());
    if (!names) return;
    for (const auto &name : *names)
        if (name.starts_with(prefix)) remove_snapshot(parent + "/" + name);
}

void remove_snapshot(const std::string &path) {
    const auto held = open_directory(path);
    if (held && is_ours(*held) && ::flock(held->get(), LOCK_EX | LOCK_NB) == 0) remove_files(*held, path);
}

Result<Snapshot> open_snapshot(const std::string &named) {
    fs::path path = fs::absolute(named).lexically_normal();
    if (path.filename().empty()) path = path.parent_path();
    constexpr std::string_view step = "open snapshot";
    auto held = open_directory(path);
    if (!held) return fail(held.error().code, step, path.string(), "make one with runvm snapshot");
    // Comes first: the mode of another directory is no fault.
    if (::faccessat(held->get(), std::string(snapshot_manifest).c_str(), F_OK, 0) < 0)
        return fail(errno, step, path.string(), "it has no manifest; is it a snapshot?");
    struct stat st{};
    if (::fstat(held->get(), &st) < 0) return fail(errno, step, path.string());
    if (st.st_uid != ::geteuid())
        return fail(0, step, path.string(), "it belongs to another user, who could have put anything into it");
    if ((st.st_mode & 077) != 0)
        return fail(
            0, step, path.string(),
            std::format("with mode {:04o}, others could read or change the guest's memory; set mode 0700", st.st_mode & 07777));
    if (::flock(held->get(), LOCK_SH | LOCK_NB) < 0) return fail(0, step, path.string(), "it is being replaced; try again");
    constexpr size_t limit_bytes = size_t{32} << 20;
    const auto text =
        base::open_beneath(held->get(), std::string(snapshot_manifest), O_RDONLY | O_NONBLOCK).and_then([&](const Fd &file) {
            return base::read_all(file.get(), snapshot_manifest, limit_bytes);
        });
    if (!text) return fail(text.error().code, step, path.string(), "it has no manifest; is it a snapshot?");
    auto manifest = parse_manifest(*text, path);
    if (!manifest) return std::unexpected(manifest.error());
    return Snapshot{path, std::move(*held), std::move(*manifest)};
}

}  // namespace hostside
