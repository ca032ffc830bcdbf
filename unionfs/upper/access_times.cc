#include "unionfs/upper/access_times.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "mounts/base/at.h"
#include "unionfs/upper/layers.h"
#include "unionfs/upper/submounts.h"
#include "unionfs/upper/workdir.h"

namespace unionfs {

namespace {

constexpr uint64_t is_mount_root = 0x2000;  // STATX_ATTR_MOUNT_ROOT, statx(2)

// 0: the options need no separate mount.
uint64_t flags_of(const Options &options) {
    uint64_t flags = 0;
    for (const std::string &word : options.for_mount) {
        if (word == "noatime") flags |= MOUNT_ATTR_NOATIME;
        if (word == "nodiratime") flags |= MOUNT_ATTR_NODIRATIME;
        if (word == "strictatime") flags |= MOUNT_ATTR_STRICTATIME;
    }
    const bool both = (flags & MOUNT_ATTR_NOATIME) != 0 && (flags & MOUNT_ATTR_STRICTATIME) != 0;
    return both ? flags & ~MOUNT_ATTR_STRICTATIME : flags;  // both set one field; mount(2) prefers noatime too
}

// The topmost directory of the mount that holds `directory`, or the topmost that is visible after a chroot(2). Invalid if it
// can't be found.
base::Fd top_of_mount(int directory) {
    base::Fd at(::fcntl(directory, F_DUPFD_CLOEXEC, 0));
    struct statx here{}, above{};
    while (at && ::statx(at.get(), "", AT_EMPTY_PATH, STATX_INO, &here) == 0) {
        if ((here.stx_attributes & is_mount_root) != 0) return at;
        base::Fd up(::openat(at.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!up || ::statx(up.get(), "", AT_EMPTY_PATH, STATX_INO, &above) < 0) break;
        if (above.stx_ino == here.stx_ino) return at;
        at = std::move(up);
    }
    return {};
}

// The same directory, reached through the copy of its mount. Invalid if it isn't there.
base::Fd through(const base::Fd &copy, const std::string &top, int directory) {
    const auto path = base::path_of(directory, "branch");
    if (!path || !path->starts_with(top)) return {};
    std::string inner = path->substr(top.size());
    inner.erase(0, inner.find_first_not_of('/'));
    base::Fd found = open_inside(copy.get(), inner.empty() ? "." : inner.c_str(), O_PATH | O_DIRECTORY);
    struct stat wanted{}, status{};
    if (!found || ::fstat(directory, &wanted) < 0 || ::fstat(found.get(), &status) < 0) return {};
    return key_of(wanted) == key_of(status) ? std::move(found) : base::Fd();
}

}  // namespace

void mount_for_access_times(Layers &layers, base::Fd &workdir) {
    const uint64_t flags = flags_of(layers.options);
    if (flags == 0) return;
    const base::Fd top = top_of_mount(layers.upper->get());
    if (!top) return;
    const auto path = base::path_of(top.get(), "branch");
    const base::Fd copy = path ? copy_mount(top.get(), false) : base::Fd();
    mount_attr attributes{.attr_set = flags, .attr_clr = MOUNT_ATTR__ATIME, .propagation = 0, .userns_fd = 0};
    if ((flags & MOUNT_ATTR_NODIRATIME) == 0) attributes.attr_clr |= MOUNT_ATTR_NODIRATIME;
    if (!copy || ::syscall(SYS_mount_setattr, copy.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) return;
    base::Fd upper = through(copy, *path, layers.upper->get()), work = through(copy, *path, workdir.get());
    if (!upper || !work) return;  // they are on two mounts of one file system
    layers.upper = std::make_shared<const base::Fd>(std::move(upper));
    workdir = std::move(work);
}

}  // namespace unionfs
