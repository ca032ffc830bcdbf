// The names of copied-up hard links (hard_links.h), from the tree's side. Names that lead to such a copy move to the upper.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/tree/preserved_times.h"
#include "unionfs/tree/union.h"

namespace unionfs {

// The path of a lower file in its layer, for one of its names in the union. If `link` is null, the path it was found by.
std::string Union::lower_name(const Node &node, const Link *link) {
    for (const LowerDirRef &dir : link == nullptr ? std::vector<LowerDirRef>{} : link->parent->lowers) {
        FdRef fd;
        struct stat status{};
        if (lower_dir(dir, fd) != 0 || ::fstatat(fd->get(), link->name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (Key{status.st_dev, status.st_ino} == node.lower_key) return lower_path(dir) + "/" + link->name;
    }
    return lower_path(node.lower_parent) + "/" + node.lower_name;
}

// Marks a copy that is still in the work directory. For false, see HardLinks::mark.
bool Union::mark_hard_link(const Node &node, const std::vector<Link> &links, const std::string &entry, const struct stat &lower) {
    const long left = static_cast<long>(lower.st_nlink) + node.names_changed();
    return hard_links.mark(entry, lower_name(node, links.empty() ? nullptr : &links.front()), left);
}

// Moves a name of a copied-up hard link to the upper. overlayfs then sees the name, and it can be moved and removed. The Node
// is locked.
int Union::link_up(Node &node, Node &parent, const std::string &name) {
    FdRef dir;
    struct stat status{};
    if (const int error = copy_up(parent); error != 0) return error;
    if (const int error = upper_dir(parent, dir); error != 0) return error;
    if (::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    Location from;
    if (const int error = resolve_upper(node, from); error != 0) return error;
    if (node.indexed) {
        if (::fstatat(from.fd(), from.name.c_str(), &status, from.flags()) < 0) return errno;
        if (const int error = hard_links.count_absolutely(node.shown_inode, from.fd(), from.name, status.st_nlink); error != 0)
            return error;
    }
    const PreservedTimes preserved(parent, dir);
    const int how = from.name.empty() ? AT_EMPTY_PATH : 0;
    return ::linkat(from.fd(), from.name.c_str(), dir->get(), name.c_str(), how) < 0 && errno != EEXIST ? errno : 0;
}

// Removes the copy from the index once it isn't needed there. Returns true if the copy has no name left. The Node is locked.
bool Union::leave_index(Node &node) {
    nlink_t left = 0;
    if (!hard_links.is_needless(node.shown_inode, left)) return false;
    node.indexed = false;
    if (left == 0 && !node.orphan()) {  // a process may have it open
        node.orphan_name = node.upper_key.inode;
        hard_links.remove(node.shown_inode, Layers::orphan_entry(node.orphan_name));
    } else {
        hard_links.remove(node.shown_inode);
    }
    return left == 0;
}

int Union::bring_name(Node &node, Node &parent, const std::string &name) {
    const std::lock_guard lock(node.mutex);
    if (!node.indexed) return 0;
    const int error = link_up(node, parent, name);
    if (error == 0) (void)leave_index(node);
    changed_by_us(node);
    return error;
}

}  // namespace unionfs
