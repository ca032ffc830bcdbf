// Makes, removes and links names. Every externally visible step is a single system call.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/tree/union.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

int Union::make(Node &parent, const std::string &name, bool directory, const std::function<int(int, const char *)> &create) {
    if (const int error = copy_up(parent); error != 0) return error;
    FdRef dir;
    if (const int error = upper_dir(parent, dir); error != 0) return error;
    if (journal.done()) return 0;
    journal.note({.kind = RequestKind::make, .parent = table.reference(&parent), .name = name});
    int error = create(dir->get(), name.c_str());
    if (error != EEXIST) return error;
    struct stat status{};
    bool hides = false;
    if (::fstatat(dir->get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? EEXIST : errno;
    if (error = layers.marks.is_whiteout(dir->get(), name.c_str(), status, hides); error != 0) return error;
    if (!hides) return EEXIST;
    // A whiteout has the name. Make the object in a directory like the parent (default ACL, set-group-ID), then move it onto
    // the whiteout.
    const std::string stage = layers.work_name();
    struct stat made{};
    if (::mkdirat(layers.work->get(), stage.c_str(), 0700) < 0) return errno;
    const base::Fd at(::openat(layers.work->get(), stage.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!at || ::fstat(dir->get(), &status) < 0)
        error = errno;
    else
        error = copy_attributes(dir->get(), ".", layers.work->get(), stage.c_str(), status, layers.marks, made);
    if (error == 0) error = create(at.get(), "new");
    if (error == 0 && directory) error = layers.marks.make_opaque(at.get(), "new");
    if (error == 0 && ::syscall(SYS_renameat2, at.get(), "new", dir->get(), name.c_str(), directory ? RENAME_EXCHANGE : 0U) < 0)
        error = errno;
    layers.discard(stage);
    return error;
}

// Call this before a name is removed. It waits for a running copy-up, which would bring the name back. None starts while the
// lock is held.
std::unique_lock<NodeMutex> Union::hold_for_removal(Node &node, bool last_name, int &error) {
    for (;;) {
        const bool was_upper = node.upper;
        if (error == 0 && last_name && !node.is_dir()) error = keep_unlinked(node, Keep::removed);
        std::unique_lock held(node.mutex);
        if (error != 0 || node.upper == was_upper) return held;
    }
}

int Union::remove(Node &parent, const std::string &name, bool directory) {
    if (!layers.upper) return EROFS;
    if (journal.done()) return 0;
    Found found;
    if (const int error = probe(parent, name, found); error != 0) return error;
    if (directory && !S_ISDIR(found.status.st_mode)) return ENOTDIR;
    if (!directory && S_ISDIR(found.status.st_mode)) return EISDIR;
    bool in_upper = found.upper && found.indexed == 0;
    if (!options.copy_on_write && !in_upper) return EROFS;
    Node *node = intern(parent, name, found);
    // A whiteout would replace even a directory that isn't empty, so check that first. rmdir(2) checks by itself.
    bool hides = true;
    int error = found.upper ? lower_has(parent, name, hides) : 0;
    if (error == 0 && directory && (hides || !node->lowers.empty())) error = is_empty(*node);
    if (error == 0) error = copy_up(parent);
    FdRef dir;
    if (error == 0) error = upper_dir(parent, dir);
    std::unique_lock held = hold_for_removal(*node, !table.has_several_names(node), error);
    if (Found again; error == 0 && !in_upper && node->upper) {
        error = probe(parent, name, again);
        in_upper = error == 0 && again.upper && again.indexed == 0;
        if (error == ENOENT) error = 0;
    }
    if (error == 0 && node->indexed) {
        if (!in_upper) error = link_up(*node, parent, name);
        if (error == 0) error = hard_links.count_by_links(node->shown_inode);
        in_upper = true;
    }
    const Link link{&parent, name};
    const bool several = !directory && !node->upper && found.status.st_nlink > 1;
    if (error == 0 && directory) keep_removed_directory(*node);
    if (error == 0) {
        journal.note(
            {.kind = RequestKind::remove, .node = table.reference(node), .parent = table.reference(&parent), .name = name});
        if (several) hard_links.note_removal(node->shown_inode, lower_name(*node, &link));
        if (!in_upper)
            error = layers.make_whiteout(dir->get(), name);
        else if (hides)
            error = layers.replace_by_whiteout(dir->get(), name, directory);
        else if (::unlinkat(dir->get(), name.c_str(), directory ? AT_REMOVEDIR : 0) < 0)
            error = errno;
        if (error == ENOTEMPTY && directory && is_empty(*node) == 0) {  // it holds only whiteouts
            const std::string entry = layers.work_name();
            error = ::renameat(dir->get(), name.c_str(), layers.work->get(), entry.c_str()) < 0 ? errno : 0;
            if (error == 0) layers.discard(entry);
        }
    }
    if (error != 0) {
        if (table.first_link(node)) give_up_orphan(*node);
    } else {
        if (several) hard_links.count_removal(node->shown_inode);
        if (!node->upper) node->lose_lower_name();
        lose_name(*node, parent, name, directory || found.status.st_nlink <= 1);
    }
    held.unlock();
    table.forget(node, 1);
    return error;
}

void Union::lose_name(Node &node, Node &parent, const std::string &name, bool last_on_disk) {
    if (node.indexed) last_on_disk = leave_index(node);
    if (!table.remove_link(&node, &parent, name)) {
        give_up_orphan(node);
        return;
    }
    node.removed = true;
    if (node.is_dir() && node.orphan_name != 0) cache.drop(node.slot);  // the slot has the removed directory
    if (last_on_disk) table.remove_keys(&node);
}

// For a file that was copied up while processes still read its lower. The kernel's inode is bound to the lower file until they
// close it. So the Node is left to them, like an unlinked file, and a lookup of its names finds a new Node.
int Union::leave_to_readers(Node &node) {
    if (const int error = keep_unlinked(node, Keep::removed); error != 0) return error;
    table.disown(&node);
    changed_by_us(node);
    return ESTALE;
}

int Union::link(Node &node, Node &new_parent, const std::string &new_name) {
    if (node.left) return ESTALE;
    if (journal.done()) return 0;
    if (const int error = copy_up(node); error != 0) return error;
    std::unique_lock held(node.mutex);
    Location from;
    if (const int error = resolve_upper(node, from); error != 0) return error;
    journal.note(
        {.kind = RequestKind::link, .node = table.reference(&node), .parent = table.reference(&new_parent), .name = new_name});
    if (node.indexed)
        if (const int error = hard_links.count_by_links(node.shown_inode); error != 0) return error;
    const int error = make(new_parent, new_name, false, [&](int dir, const char *name) {
        if (::linkat(from.fd(), from.name.c_str(), dir, name, from.name.empty() ? AT_EMPTY_PATH : 0) < 0) return errno;
        // Linking by descriptor would need a privilege. So check afterwards which file got the name.
        struct stat status{};
        if (from.name.empty() || (::fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && key_of(status) == node.upper_key))
            return 0;
        (void)::unlinkat(dir, name, 0);
        return ESTALE;
    });
    held.unlock();
    if (error != 0) return error;
    table.add_link(&node, &new_parent, new_name);
    if (node.orphan() || node.orphan_name != 0) {  // an O_TMPFILE file got a name
        const std::lock_guard lock(node.mutex);
        give_up_orphan(node);
        node.removed = false;
        table.add_key(&node, node.upper_key);
    }
    return 0;
}

}  // namespace unionfs
