#include "unionfs/upper/submounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "unionfs/upper/layers.h"

namespace unionfs {

namespace {

constexpr uint64_t is_private = 1U << 18;  // MS_PRIVATE, mount(2)
constexpr unsigned whole_tree = 0x8000;    // AT_RECURSIVE, open_tree(2)

// Like overlayfs, never write to a lower.
void make_read_only(const base::Fd &copy) {
    mount_attr attributes{
        .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME, .attr_clr = MOUNT_ATTR__ATIME, .propagation = 0, .userns_fd = 0};
    // This fails in a container, and the mount stays as it is.
    (void)::syscall(SYS_mount_setattr, copy.get(), "", AT_EMPTY_PATH | whole_tree, &attributes, sizeof attributes);
}

}  // namespace

base::Fd copy_mount(int directory, bool with_submounts) {
    const unsigned tree = AT_EMPTY_PATH | (with_submounts ? whole_tree : 0U);
    base::Fd copy(static_cast<int>(::syscall(SYS_open_tree, directory, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | tree)));
    if (!copy) return copy;
    // Private, because since Linux 6.15 mounts made by others would propagate here. Linux before 5.12 lacks this call and
    // doesn't propagate them.
    mount_attr attributes{.attr_set = 0, .attr_clr = 0, .propagation = is_private, .userns_fd = 0};
    (void)::syscall(SYS_mount_setattr, copy.get(), "", AT_EMPTY_PATH | whole_tree, &attributes, sizeof attributes);
    return copy;
}

base::Result<> detach_lowers(Layers &layers) {
    const Submounts wanted = layers.options.submounts;
    for (size_t i = 0; i < layers.lowers.size(); ++i) {
        const int lower = layers.lowers[i]->get();
        base::Fd copy = copy_mount(lower, wanted == Submounts::follow);
        if (!copy && wanted == Submounts::hide)
            return base::fail(errno, "submounts=hide", layers.options.lowers[i],
                              "needs root outside a container, and a lower that is not an unbindable mount");
        // A container may not reveal what lies beneath mounts made by its creator.
        if (!copy && wanted == Submounts::automatic) copy = copy_mount(lower, true);
        if (!copy) continue;
        make_read_only(copy);
        layers.lowers[i] = std::make_shared<const base::Fd>(std::move(copy));
    }
    return {};
}

}  // namespace unionfs
