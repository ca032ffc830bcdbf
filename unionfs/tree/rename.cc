// rename(2). A directory keeps its lowers by a redirect, in the format of overlayfs's redirect_dir=on. If the marks are
// user.overlay.*, overlayfs follows no redirect (overlayfs.rst, "User xattr"), so the directory is copied up completely.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "unionfs/tree/listing.h"
#include "unionfs/tree/union.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

std::string lower_path(const LowerDirRef &dir) {
    std::vector<const LowerDir *> names;
    std::string path;
    for (const LowerDir *at = dir.get(); at->parent; at = at->parent.get()) names.push_back(at);
    for (; !names.empty(); names.pop_back()) path.append("/").append(names.back()->name);
    return path;
}

// Copies up everything that one directory shows. Adds its subdirectories to `further`, each with its lookup count raised.
int Union::copy_up_content(Node &directory, std::vector<Node *> &further) {
    Listing listing;
    int error = copy_up(directory);
    if (error == 0 && !directory.lowers.empty()) error = listing.load(*this, directory);
    for (const ListingEntry &entry : listing.entries) {
        Node *node = nullptr;
        struct stat status{};
        if (error == 0) error = lookup(directory, listing.name_of(entry), node, status);
        if (error == ENOENT) error = 0;  // removed in between
        if (error != 0) break;
        if (node == nullptr) continue;
        if (node->is_dir()) {
            further.push_back(node);
            continue;
        }
        error = copy_up(*node);
        if (error == 0) {
            const std::lock_guard lock(node->mutex);
            error = link_up(*node, directory, listing.name_of(entry));
        }
        table.forget(node, 1);
    }
    return error;
}

// Copies up everything that a directory shows, so that it no longer needs its lowers. The change is invisible.
int Union::copy_up_tree(Node &directory) {
    std::vector<Node *> left;
    int error = copy_up_content(directory, left);
    while (!left.empty()) {
        Node *node = left.back();
        left.pop_back();
        if (error == 0) error = copy_up_content(*node, left);
        table.forget(node, 1);
    }
    return error;
}

// The directory's path in the topmost lower that has it, from the lower's root. If a lower itself holds redirects, lowers
// further down have it at another path.
int Union::path_in_lowers(Node &directory, std::string &path) {
    std::optional<HeldLink> link;
    for (Node *at = &directory; at != root;) {
        std::optional<HeldLink> above = table.hold_first_link(at);
        if (!above) break;
        std::string name = (*above)->name, target;
        if (FdRef dir; at->upper) {
            if (const int error = upper_dir(*(*above)->parent, dir); error != 0) return error;
            if (const int error = layers.marks.value(dir->get(), name.c_str(), "redirect", target); error != 0) return error;
            if (!target.empty()) name = target;
        }
        if (name.starts_with('/')) {
            path.insert(0, name);
            return 0;
        }
        path.insert(0, "/" + name);
        at = (*above)->parent;
        link.emplace(std::move(*above));
    }
    return 0;
}

// Marks a directory before it is moved, so that it shows the same content at its new place.
int Union::mark_moved(Node &node, Node &parent, Node &new_parent, const std::string &new_name) {
    if (!node.is_dir()) return 0;
    Location at;
    if (const int error = resolve_upper(node, at); error != 0) return error;
    if (node.lowers.empty()) {
        bool hides = false;
        const int error = lower_has(new_parent, new_name, hides);
        return hides ? layers.marks.make_opaque(at.fd(), ".") : error;
    }
    if (layers.marks.anybody_may_set()) {
        if (const int error = copy_up_tree(node); error != 0) return error;
        return layers.marks.make_opaque(at.fd(), ".");
    }
    const LowerDirRef &lower = node.lowers.front();
    const bool beside = &parent == &new_parent && !parent.lowers.empty() && lower->parent == parent.lowers.front();
    std::string target;
    if (beside)
        target = lower->name;
    else if (lower->layer == 0)
        target = lower_path(lower);
    else if (const int error = path_in_lowers(node, target); error != 0)
        return error;
    return layers.marks.set(at.fd(), ".", "redirect", target);
}

// Replaces an empty upper directory that still holds whiteouts or lies over a lower with a truly empty one.
int Union::clear_directory(Node &parent, const std::string &name, Node &directory) {
    FdRef dir;
    struct stat status{};
    if (const int error = upper_dir(parent, dir); error != 0) return error;
    if (::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno;
    const std::string entry = layers.work_name();
    if (::mkdirat(layers.work->get(), entry.c_str(), 0700) < 0) return errno;
    base::Fd old(::openat(dir->get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat made{};
    int error = old ? copy_attributes(old.get(), ".", layers.work->get(), entry.c_str(), status, layers.marks, made) : errno;
    if (error == 0) error = layers.marks.make_opaque(layers.work->get(), entry.c_str());
    if (error == 0 && ::syscall(SYS_renameat2, layers.work->get(), entry.c_str(), dir->get(), name.c_str(), RENAME_EXCHANGE) < 0)
        error = errno;
    if (error == 0 && ::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        table.remove_keys(&directory);                         // a new directory may get the old one's inode number
        directory.upper_key = {status.st_dev, status.st_ino};  // this is the directory now, even if the rename fails
        table.add_key(&directory, directory.upper_key);
        cache.drop(directory.slot);
    }
    layers.discard(entry);
    return error;
}

// One rename. It prepares both places, makes the single visible system call, and updates the tables.
struct Union::Renaming {
    Union &fs;
    Link from, to;
    unsigned flags;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    Node *node = nullptr, *other = nullptr;  // at the old name; at the new name, if it exists
    struct stat other_status{};
    bool hides = false;                                        // a lower has the old name, so it needs a whiteout
    bool several = false;                                      // the replaced lower file has more names
    std::unique_lock<NodeMutex> losing{}, moving{}, coming{};  // of the replaced `other`; of `node`; of the exchanged `other`

    Renaming(Union &in, Link old_place, Link new_place, unsigned how)
        : fs(in), from(std::move(old_place)), to(std::move(new_place)), flags(how) {}
    Renaming(const Renaming &) = delete;
    Renaming &operator=(const Renaming &) = delete;
    ~Renaming() {
        for (std::unique_lock<NodeMutex> *lock : {&losing, &moving, &coming})
            if (*lock) lock->unlock();
        for (Node *found : {other, node})
            if (found != nullptr) fs.table.forget(found, 1);
    }

    int run() {
        int error = find();
        if (error != 0 || other == node) return error;  // two names of one file: rename(2) does nothing
        error = bring_up();
        if (error == 0 && other != nullptr && !exchange) error = make_way();
        if (error == 0) error = fs.mark_moved(*node, *from.parent, *to.parent, to.name);
        if (error == 0 && exchange) error = fs.mark_moved(*other, *to.parent, *from.parent, from.name);
        if (error == 0 && other != nullptr && !exchange) error = prepare_loss();
        if (error == 0) error = move();
        if (error == 0)
            settle();
        else if (other != nullptr && !exchange && fs.table.first_link(other))
            fs.give_up_orphan(*other);
        return error;
    }

    int find() {
        struct stat status{};
        if (const int error = fs.lookup(*from.parent, from.name, node, status); error != 0) return error;
        const int error = fs.lookup(*to.parent, to.name, other, other_status);
        if (error != 0) return error == ENOENT && !exchange ? 0 : error;
        return (flags & RENAME_NOREPLACE) != 0 ? EEXIST : 0;
    }

    int bring_up() {
        const bool of_lower = !node->upper;  // in that case, a lower has the name
        int error = fs.copy_up(*node);
        if (error == 0) error = fs.copy_up(*to.parent);
        if (error == 0 && exchange) error = fs.copy_up(*other);
        if (error == 0) error = fs.bring_name(*node, *from.parent, from.name);
        if (error == 0 && exchange) error = fs.bring_name(*other, *to.parent, to.name);
        hides = !exchange;
        if (error == 0 && hides && !of_lower) error = fs.lower_has(*from.parent, from.name, hides);
        return error;
    }

    // Checks that the moved object may replace what has the new name.
    int make_way() {
        if (!other->is_dir()) return node->is_dir() ? ENOTDIR : 0;
        if (!node->is_dir()) return EISDIR;
        if (const int error = fs.is_empty(*other); error != 0) return error;
        return other->upper ? fs.clear_directory(*to.parent, to.name, *other) : 0;
    }

    // A file is found by its name, so nobody may look for it while the name changes.
    void hold_what_moves() {
        if (!node->is_dir()) moving = std::unique_lock(node->mutex, std::defer_lock);
        if (exchange && !other->is_dir()) coming = std::unique_lock(other->mutex, std::defer_lock);
        if (moving.mutex() != nullptr && coming.mutex() != nullptr)
            std::lock(moving, coming);
        else if (moving.mutex() != nullptr)
            moving.lock();
        else if (coming.mutex() != nullptr)
            coming.lock();
    }

    int hold_what_is_lost() {
        int error = 0;
        if (!node->is_dir()) moving = std::unique_lock(node->mutex, std::defer_lock);
        for (;; std::this_thread::yield()) {
            losing = fs.hold_for_removal(*other, !fs.table.has_several_names(other), error);
            if (error != 0 || node->is_dir() || moving.try_lock()) return error;
            losing.unlock();
        }
    }

    int prepare_loss() {
        int error = hold_what_is_lost();
        if (error != 0) return error;
        if (other->is_dir()) fs.keep_removed_directory(*other);
        several = !other->is_dir() && !other->upper && static_cast<long>(other_status.st_nlink) - other->names_changed() > 1;
        if (several) fs.hard_links.note_removal(other->shown_inode, fs.lower_name(*other, &to));
        if (!other->indexed) return 0;
        error = fs.link_up(*other, *to.parent, to.name);
        return error == 0 ? fs.hard_links.count_by_links(other->shown_inode) : error;
    }

    int move() {
        FdRef source, target;
        if (const int error = fs.upper_dir(*from.parent, source); error != 0) return error;
        if (const int error = fs.upper_dir(*to.parent, target); error != 0) return error;
        if (!losing) hold_what_moves();
        // A directory can't be renamed onto a whiteout, so exchange the two. This also puts the whiteout that the old name
        // needs in place.
        bool directory_onto_whiteout = false;
        if (!exchange && node->is_dir())
            if (const int error = look_for_whiteout(*target, directory_onto_whiteout); error != 0) return error;
        unsigned how = 0;
        if (exchange || directory_onto_whiteout)
            how = RENAME_EXCHANGE;
        else if (hides)
            how = RENAME_WHITEOUT;
        fs.journal.note({.kind = RequestKind::rename,
                         .node = fs.table.reference(node),
                         .parent = fs.table.reference(from.parent),
                         .name = from.name,
                         .other = other == nullptr ? 0 : fs.table.reference(other),
                         .new_parent = fs.table.reference(to.parent),
                         .new_name = to.name,
                         .exchange = exchange});
        if (fs.layers.marked_whiteouts && (hides || directory_onto_whiteout))
            if (const int error = fs.layers.marks.admit_marked_whiteouts(source->get()); error != 0) return error;
        const int error = rename_on_disk(*source, *target, how);
        if (error == EINVAL && how == RENAME_WHITEOUT) return move_by_exchange(*source, *target);
        if (error == 0 && directory_onto_whiteout && !hides) (void)::unlinkat(source->get(), from.name.c_str(), 0);
        return error;
    }

    int rename_on_disk(const base::Fd &source, const base::Fd &target, unsigned how) const {
        return ::syscall(SYS_renameat2, source.get(), from.name.c_str(), target.get(), to.name.c_str(), how) < 0 ? errno : 0;
    }

    [[nodiscard]] int look_for_whiteout(const base::Fd &target, bool &is) const {
        struct stat status{};
        if (::fstatat(target.get(), to.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : errno;
        return fs.layers.marks.is_whiteout(target.get(), to.name.c_str(), status, is);
    }

    // For a file system that can't make a whiteout by rename: exchanges the names, then hides what has the old name.
    int move_by_exchange(const base::Fd &source, const base::Fd &target) {
        bool hidden = false;
        int error = other == nullptr ? look_for_whiteout(target, hidden) : 0;
        if (error == 0 && other == nullptr && !hidden) error = fs.layers.make_whiteout(target.get(), to.name);
        if (error == 0) error = rename_on_disk(source, target, RENAME_EXCHANGE);
        if (error == 0 && other != nullptr) error = fs.layers.replace_by_whiteout(source.get(), from.name, other->is_dir());
        return error;
    }

    void settle() {
        if (other != nullptr && !exchange) {
            if (several) fs.hard_links.count_removal(other->shown_inode);
            if (!other->upper) other->lose_lower_name();
            fs.lose_name(*other, *to.parent, to.name, other->is_dir() || other_status.st_nlink <= 1);
        }
        fs.table.move_link(node, from.parent, from.name, to.parent, to.name);
        if (exchange) fs.table.move_link(other, to.parent, to.name, from.parent, from.name);
    }
};

int Union::rename(Node &parent, const std::string &name, Node &new_parent, const std::string &new_name, unsigned flags) {
    if (!layers.upper) return EROFS;
    if ((flags & RENAME_WHITEOUT) != 0) return EINVAL;  // the caller's whiteout would be one of ours, which nobody sees
    if (journal.done()) return 0;
    return Renaming(*this, {&parent, name}, {&new_parent, new_name}, flags).run();
}

}  // namespace unionfs
