// Opens the layers, and rejects a wrong stack before anything is mounted.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <map>
#include <utility>

#include "mounts/base/at.h"
#include "unionfs/upper/access_times.h"
#include "unionfs/upper/layers.h"
#include "unionfs/upper/submounts.h"
#include "unionfs/upper/workdir.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

using base::fail;
using base::Result;

Result<base::Fd> open_branch(const Options &options, const std::string &path, int flags) {
    const std::string full = options.chroot.empty() ? path : options.chroot + "/" + path;
    Result<base::Fd> fd;
    if (options.chroot.empty()) {
        fd = base::open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY | flags);
    } else {
        auto root = base::open_at(AT_FDCWD, options.chroot, O_PATH | O_DIRECTORY);
        if (!root) return fail(root.error().code, "branch", full);
        fd = base::open_in_root(root->get(), path, O_PATH | O_DIRECTORY | flags);
    }
    if (!fd) return fail(fd.error().code, "branch", full);
    return fd;
}

namespace {

Result<FdRef> share_branch(const Options &options, const std::string &path) {
    auto fd = open_branch(options, path);
    if (!fd) return std::unexpected(fd.error());
    return std::make_shared<const base::Fd>(std::move(*fd));
}

// Visits the directories above one, up to the root, until `visit` returns false.
template <class Visit>
void each_above(int directory, const Visit &visit) {
    struct stat at{}, above{};
    base::Fd current(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
    if (::fstat(current.get(), &at) < 0) return;
    for (bool more = true; more; at = above) {
        base::Fd up(::openat(current.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!up || ::fstat(up.get(), &above) < 0 || (above.st_dev == at.st_dev && above.st_ino == at.st_ino)) return;
        more = visit(above);
        current = std::move(up);
    }
}

// Whether `inner` is `outer` or beneath it.
bool lies_within(int inner, int outer) {
    struct stat wanted{}, at{};
    if (::fstat(outer, &wanted) < 0 || ::fstat(inner, &at) < 0) return false;
    const auto is_wanted = [&](const struct stat &directory) {
        return directory.st_dev == wanted.st_dev && directory.st_ino == wanted.st_ino;
    };
    bool found = is_wanted(at);
    if (!found) each_above(inner, [&](const struct stat &above) { return !(found = is_wanted(above)); });
    return found;
}

bool is_full(int error) { return error == ENOSPC || error == EDQUOT; }

// Makes a whiteout in a new directory, as real ones are made, and checks that it reads back as one.
Result<> probe_whiteout(Layers &layers) {
    const std::string entry = layers.work_name();
    base::Fd directory;
    struct stat status{};
    int error = ::mkdirat(layers.work->get(), entry.c_str(), 0700) < 0 ? errno : 0;
    if (error == 0 && !(directory = open_inside(layers.work->get(), entry.c_str(), O_RDONLY | O_DIRECTORY))) error = errno;
    if (error == 0) error = layers.make_whiteout(directory.get(), "hidden");
    if (error == 0 && ::fstatat(directory.get(), "hidden", &status, AT_SYMLINK_NOFOLLOW) < 0) error = errno;
    bool reads = false;
    if (error == 0) error = layers.marks.is_whiteout(directory.get(), "hidden", status, reads);
    layers.marked_whiteouts = reads && S_ISREG(status.st_mode);
    layers.discard(entry);
    if (is_full(error) || reads) return {};
    return fail(error, "upper", layers.options.upper, "its file system doesn't support whiteouts, so it can't hold an upper");
}

// An upper must be able to hold whiteouts and marks. Sets `marks` to the attributes it accepts. A full upper is mounted too, so
// that something can be removed: the marks are tried on existing files, and a whiteout that finds no space counts as possible.
Result<> probe_upper(Layers &layers) {
    const std::string &path = layers.options.upper;
    const int work = layers.work->get();
    int error = layers.options.user_xattr ? EPERM : -set_xattr(work, "", "trusted.overlay.probe", "y", 1);
    if (error != 0 && !is_full(error)) {
        layers.marks.prefix = "user.overlay.";
        error = -set_xattr(work, "", "user.overlay.probe", "y", 1);
    }
    (void)remove_xattr(work, "", (layers.marks.prefix + "probe").c_str());  // a leftover probe means nothing
    if (error == EOPNOTSUPP)
        return fail(error, "upper", path, "its file system doesn't support extended attributes, so it can't hold an upper");
    if (error != 0 && !is_full(error)) return fail(error, "upper", path, "it is not writable");
    return probe_whiteout(layers);
}

Result<> open_upper(Layers &layers) {
    auto upper = share_branch(layers.options, layers.options.upper);
    if (!upper) return std::unexpected(upper.error());
    layers.upper = std::move(*upper);
    struct stat status{};
    if (::fstat(layers.upper->get(), &status) < 0) return fail(errno, "branch", layers.options.upper);
    auto workdir = open_workdir(layers, status);
    if (!workdir) return std::unexpected(workdir.error());
    if (lies_within(workdir->get(), layers.upper->get()) || lies_within(layers.upper->get(), workdir->get()))
        return fail(0, "workdir", layers.options.work, "must be beside the upper, not inside or around it");
    struct stat at_workdir{};
    if (::fstat(workdir->get(), &at_workdir) < 0) return fail(errno, "workdir", layers.options.work);
    layers.own = {key_of(status), key_of(at_workdir)};
    mount_for_access_times(layers, *workdir);
    layers.locked = open_inside(layers.upper->get(), ".", O_RDONLY | O_DIRECTORY);
    if (!layers.locked) return fail(errno, "branch", layers.options.upper);
    if (auto result = lock_branch(layers.locked, "upper", layers.options.upper); !result) return result;
    if (auto result = open_work_directories(layers, *workdir); !result) return result;
    layers.clean_work();
    return probe_upper(layers);
}

// Walks up once from each branch, so the cost is linear in their number.
Result<> check_apart(const Layers &layers) {
    std::vector<std::pair<std::string, int>> branches;
    if (layers.upper) branches.emplace_back(layers.options.upper, layers.upper->get());
    for (size_t i = 0; i < layers.lowers.size(); ++i) branches.emplace_back(layers.options.lowers[i], layers.lowers[i]->get());
    std::map<std::pair<dev_t, ino_t>, std::string> places;
    struct stat status{};
    for (const auto &[path, fd] : branches) {
        if (::fstat(fd, &status) < 0) return fail(errno, "branch", path);
        const auto [other, is_new] = places.try_emplace({status.st_dev, status.st_ino}, path);
        if (is_new) continue;
        return fail(0, "branch", path,
                    path == other->second ? "is given twice" : "is the same directory as the branch '" + other->second + "'");
    }
    for (const auto &[path, fd] : branches) {
        std::string outer;
        if (layers.upper && fd == layers.upper->get()) continue;  // may lie in a lower, as with overlayfs: see leads_back()
        each_above(fd, [&](const struct stat &above) {
            const auto found = places.find({above.st_dev, above.st_ino});
            if (found != places.end()) outer = found->second;
            return outer.empty();
        });
        if (!outer.empty()) return fail(0, "branch", path, "is inside the branch '" + outer + "'");
    }
    return {};
}

}  // namespace

Result<> Layers::open() {
    struct stat status{};
    for (const std::string &path : options.lowers) {
        auto fd = share_branch(options, path);
        if (!fd) return std::unexpected(fd.error());
        if (::fstat((*fd)->get(), &status) < 0) return fail(errno, "branch", path);
        if (!std::ranges::contains(devices, status.st_dev)) devices.push_back(status.st_dev);
        lowers.push_back(std::move(*fd));
    }
    privileged = ::geteuid() == 0;
    if (!options.upper.empty())
        if (auto result = open_upper(*this); !result) return result;
    if (auto result = check_apart(*this); !result) return result;
    if (upper && ::fstat(upper->get(), &status) < 0) return fail(errno, "branch", options.upper);
    if (upper && !std::ranges::contains(devices, status.st_dev)) devices.push_back(status.st_dev);
    return detach_lowers(*this);
}

bool Layers::leads_back(const struct stat &directory) const {
    return S_ISDIR(directory.st_mode) && (directory.st_dev == own_device || std::ranges::contains(own, key_of(directory)));
}

bool Layers::is_gone(const std::string &path, ino_t number) const {
    return std::ranges::none_of(lowers, [&](const FdRef &lower) {
        struct stat status{};
        if (::fstatat(lower->get(), path.c_str() + 1, &status, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT && errno != ENOTDIR;
        return number_of(key_of(status)) == number;
    });
}

// The topmost byte tells the layers' devices apart. All others have one value there: mounts on a lower, and subvolumes of a
// btrfs. Their own device numbers tell them apart, because their files often have the same inode numbers.
ino_t Layers::number_of(const Key &key) const {
    constexpr std::ptrdiff_t others = 255;
    const auto position = std::min(std::ranges::find(devices, key.device) - devices.begin(), others);
    const ino_t number = key.inode + (static_cast<ino_t>(position) << 56);
    if (position < std::min(std::ssize(devices), others)) return number;
    return number + (static_cast<ino_t>((minor(key.device) ^ major(key.device) << 12) & 0xFFFFF) << 36);
}

}  // namespace unionfs
