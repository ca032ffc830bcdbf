// rename(2). A folder with lowers keeps them by a redirect, as overlayfs's redirect_dir=on writes it; where the marks are
// user.overlay.*, overlayfs follows none (overlayfs.rst, "User xattr"), and the folder moves whole.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/listing.h"
#include "unionfs/union.h"
#include "unionfs/xattr.h"

namespace unionfs {

std::string lower_path(const LowerDirRef &dir) { return dir->parent ? lower_path(dir->parent) + "/" + dir->name : std::string{}; }

// Copies up all that a folder shows, so that it needs its lowers no more. Nothing that is seen changes by it.
int Union::copy_up_tree(Node &folder) {
    Listing listing;
    int error = copy_up(folder);
    if (error == 0 && !folder.lowers.empty()) error = listing.load(*this, folder);
    for (const ListingEntry &entry : listing.entries) {
        Node *node = nullptr;
        struct stat status{};
        if (error == 0) error = lookup(folder, listing.name_of(entry), node, status);
        if (error == ENOENT) error = 0;  // removed meanwhile
        if (error != 0) break;
        if (node == nullptr) continue;
        error = node->is_dir() ? copy_up_tree(*node) : copy_up(*node);
        if (error == 0 && !node->is_dir()) {
            const std::lock_guard lock(node->mutex);
            error = link_up(*node, folder, listing.name_of(entry));
        }
        table.forget(node, 1);
    }
    return error;
}

// Before the move: what the folder needs so that at its new place it shows what it shows now, and nothing else.
int Union::mark_moved(Node &node, Node &parent, Node &new_parent, const std::string &new_name) {
    if (!node.is_dir()) return 0;
    Where at;
    if (const int error = where_upper(node, at); error != 0) return error;
    if (node.lowers.empty()) return lower_has(new_parent, new_name) ? make_opaque(at.fd(), ".") : 0;
    if (mark.starts_with("user.")) {
        if (const int error = copy_up_tree(node); error != 0) return error;
        return make_opaque(at.fd(), ".");
    }
    const LowerDirRef &lower = node.lowers.front();
    const bool beside = &parent == &new_parent && !parent.lowers.empty() && lower->parent == parent.lowers.front();
    const std::string target = beside ? lower->name : lower_path(lower);
    return -set_xattr(at.fd(), ".", (mark + "redirect").c_str(), target.data(), target.size());
}

// An empty folder of the upper that still holds whiteouts, or lies over a lower: replaced by a truly empty one.
int Union::clear_folder(Node &parent, const std::string &name, Node &folder) {
    FdRef dir;
    struct stat status{};
    if (const int error = upper_dir(parent, dir); error != 0) return error;
    if (::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
    const std::string entry = work_name();
    if (::mkdirat(work->get(), entry.c_str(), 0700) < 0) return errno;
    base::Fd old(::openat(dir->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat made{};
    int error = old ? copy_attributes(old.get(), ".", work->get(), entry.c_str(), status, mark, made) : errno;
    if (error == 0) error = make_opaque(work->get(), entry.c_str());
    if (error == 0 && ::syscall(SYS_renameat2, work->get(), entry.c_str(), dir->get(), name.c_str(), RENAME_EXCHANGE) < 0)
        error = errno;
    if (error == 0 && ::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        table.remove_keys(&folder);                         // the next folder that is made may get the old one's number
        folder.upper_key = {status.st_dev, status.st_ino};  // it is the folder now, should the rename fail
        table.add_key(&folder, folder.upper_key);
        cache.drop(folder.slot);
    }
    discard(entry);
    return error;
}

int Union::rename(Node &parent, const std::string &name, Node &new_parent, const std::string &new_name, unsigned flags) {
    if (!upper) return EROFS;
    if (journal.done()) return 0;
    const bool exchange = (flags & RENAME_EXCHANGE) != 0;
    Node *node = nullptr, *other = nullptr;
    struct stat status{}, other_status{};
    int error = lookup(parent, name, node, status);
    if (error != 0) return error;
    error = lookup(new_parent, new_name, other, other_status);
    if (error == ENOENT && !exchange) error = 0;
    if (error == 0 && other != nullptr && (flags & RENAME_NOREPLACE) != 0) error = EEXIST;
    const bool same = other == node;     // two names of one file: nothing happens, rename(2)
    const bool of_lower = !node->upper;  // which then has the name
    if (error == 0 && !same) error = copy_up(*node);
    if (error == 0 && !same) error = copy_up(new_parent);
    if (error == 0 && !same && exchange && other != nullptr) error = copy_up(*other);
    if (error == 0 && !same) error = bring_name(*node, parent, name);
    if (error == 0 && !same && exchange) error = bring_name(*other, new_parent, new_name);
    const bool hides = error == 0 && !exchange && (of_lower || lower_has(parent, name));
    if (error == 0 && !same && other != nullptr && !exchange) {
        if (other->is_dir()) {
            if (!node->is_dir())
                error = EISDIR;
            else
                error = is_empty(*other);
            if (error == 0 && other->upper) error = clear_folder(new_parent, new_name, *other);
        } else {
            error = node->is_dir() ? ENOTDIR : 0;
        }
    }
    if (error == 0 && !same) error = mark_moved(*node, parent, new_parent, new_name);
    if (error == 0 && !same && exchange && other != nullptr) error = mark_moved(*other, new_parent, parent, name);
    FdRef from, to;
    std::unique_lock<std::mutex> held;
    if (error == 0 && !same && !exchange && other != nullptr)
        held = hold_for_removal(*other, table.links(other).size() <= 1, error);
    const Link onto{&new_parent, new_name};
    const bool several =
        held && !other->is_dir() && !other->upper && static_cast<long>(other_status.st_nlink) - other->names_changed() > 1;
    if (several && error == 0) hard_links.note_removal(other->shown_inode, lower_name(*other, &onto));
    if (held && error == 0 && other->indexed) {
        error = link_up(*other, new_parent, new_name);
        if (error == 0) error = count_by_links(*other);
    }
    if (error == 0) error = upper_dir(parent, from);
    if (error == 0 && !same) error = upper_dir(new_parent, to);
    // Whoever looks at what moves finds it by a name. No order is needed: of two renames of one file the kernel sends one.
    std::unique_lock<std::mutex> moving, coming;
    if (error == 0 && !same && !node->is_dir()) moving = std::unique_lock(node->mutex);
    if (error == 0 && exchange && !same && !other->is_dir()) coming = std::unique_lock(other->mutex);
    if (error == 0 && !same) {
        const auto is_onto_whiteout = [&] {
            struct stat at_target{};
            return ::fstatat(to->get(), new_name.c_str(), &at_target, AT_SYMLINK_NOFOLLOW) == 0 &&
                   is_whiteout(to->get(), new_name.c_str(), at_target);
        };
        // A folder can't be renamed onto a whiteout: that is exchanged first, and then is what the old name needs.
        const bool folder_onto_whiteout = !exchange && node->is_dir() && is_onto_whiteout();
        unsigned how = exchange ? RENAME_EXCHANGE : 0;
        if (folder_onto_whiteout)
            how = RENAME_EXCHANGE;
        else if (!exchange && (hides || (flags & RENAME_WHITEOUT) != 0))
            how = RENAME_WHITEOUT;
        journal.note({.step = Step::rename,
                      .node = table.reference(node),
                      .parent = table.reference(&parent),
                      .name = name,
                      .other = other == nullptr ? 0 : table.reference(other),
                      .new_parent = table.reference(&new_parent),
                      .new_name = new_name,
                      .exchange = exchange});
        if (::syscall(SYS_renameat2, from->get(), name.c_str(), to->get(), new_name.c_str(), how) < 0) error = errno;
        if (error == 0 && folder_onto_whiteout && !hides) (void)::unlinkat(from->get(), name.c_str(), 0);
        if (error == EINVAL && how == RENAME_WHITEOUT) {  // none here: exchange, and hide what then has the old name
            error = other == nullptr && !is_onto_whiteout() ? make_whiteout(to->get(), new_name) : 0;
            if (error == 0 &&
                ::syscall(SYS_renameat2, from->get(), name.c_str(), to->get(), new_name.c_str(), RENAME_EXCHANGE) < 0)
                error = errno;
            if (error == 0 && other != nullptr) error = replace_by_whiteout(from->get(), name, other->is_dir());
        }
    }
    if (error == 0 && !same) {
        if (other != nullptr && !exchange) {
            if (several) hard_links.count_removal(other->shown_inode);
            if (!other->upper) other->lose_lower_name();
            lose_name(*other, new_parent, new_name, other->is_dir() || other_status.st_nlink <= 1);
        }
        table.move_link(node, &parent, name, &new_parent, new_name);
        if (exchange && other != nullptr) table.move_link(other, &new_parent, new_name, &parent, name);
    }
    for (std::unique_lock<std::mutex> *lock : {&held, &moving, &coming})
        if (*lock) lock->unlock();
    if (other != nullptr) table.forget(other, 1);
    table.forget(node, 1);
    return error;
}

}  // namespace unionfs
