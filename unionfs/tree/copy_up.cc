// Copy-up makes the copy in the work directory and moves it into the upper in one step, so a crash leaves either the lower
// object or a complete copy. Only threads that want the same object wait, on its Node's lock.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "unionfs/tree/preserved_times.h"
#include "unionfs/tree/union.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

int Union::copy_up(Node &node, off_t size, Told told) {
    if (node.upper) return 0;
    if (!layers.upper) return EROFS;
    if (!options.copy_on_write && !node.is_dir()) return EROFS;
    if (node.is_dir())
        if (const int error = copy_up_above(node); error != 0) return error;
    const std::lock_guard lock(node.mutex);
    if (node.upper) return 0;
    if (const int error = copy_up_locked(node, size); error != 0) return error;
    if (!node.is_dir() && told == Told::by_us) changed_by_us(node);
    return 0;
}

// Copies up the parent directories, from the top down. Recursion would cost stack for each level.
int Union::copy_up_above(Node &directory) {
    std::vector<HeldLink> lacking;
    for (Node *at = &directory;; at = lacking.back()->parent) {
        std::optional<HeldLink> link = table.hold_first_link(at);
        if (!link || (*link)->parent->upper) break;
        lacking.push_back(std::move(*link));
    }
    for (; !lacking.empty(); lacking.pop_back())
        if (const int error = copy_up(*lacking.back()->parent); error != 0) return error;
    return 0;
}

int Union::copy_up_locked(Node &node, off_t size) {
    base::Fd copy;
    const int error = node.is_dir() ? copy_up_directory(node) : copy_up_file(node, size, copy);
    if (error != 0) return error;
    cache.drop(node.slot);  // the lower file's descriptor
    node.slot_writable = copy.valid();
    node.upper = true;
    if (copy) (void)cache.put(node.slot, std::move(copy));
    return 0;
}

int Union::copy_up_directory(Node &node) {
    const std::vector<Link> links = table.links(&node);
    FdRef target;
    Location from;
    struct stat status{};
    StagedCopy made;
    if (!links.empty()) {
        if (const int error = copy_up(*links.front().parent); error != 0) return error;
        if (const int error = upper_dir(*links.front().parent, target); error != 0) return error;
    }
    if (const int error = resolve(node, from); error != 0) return error;
    if (::fstat(from.fd(), &status) < 0) return errno;
    if (const int error = layers.stage_directory(from.fd(), status, made); error != 0) return error;
    table.add_upper_key(&node, made.key);
    int error = 0;
    if (links.empty()) {  // removed, but still in use
        if (error = keep_made(node, made, {}); error != 0) table.drop_upper_key(&node);
        return error;
    }
    const Link &link = links.front();
    {
        const PreservedTimes preserved(*link.parent, target);
        if (::renameat(layers.work->get(), made.entry.c_str(), target->get(), link.name.c_str()) < 0) error = errno;
    }
    if (error != 0) {
        table.drop_upper_key(&node);
        layers.discard(made.entry);
        return error;
    }
    if (struct stat copy{}; ::fstatat(target->get(), link.name.c_str(), &copy, AT_SYMLINK_NOFOLLOW) == 0)
        show_as_before(node, status, copy);
    return 0;
}

int Union::copy_up_file(Node &node, off_t size, base::Fd &copy) {
    const std::vector<Link> links = table.links(&node);
    Location from;
    struct stat status{};
    base::Fd source;
    if (const int error = resolve(node, from); error != 0) return error;
    if (node.is_file()) {
        source.reset(::openat(from.fd(), from.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!source) return errno;
        if (const int error = layers.marks.check_has_data(source.get()); error != 0) return error;
    }
    const int from_dir = source ? source.get() : from.fd();
    const char *from_name = source ? "" : from.name.c_str();
    if (::fstatat(from_dir, from_name, &status, source ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW) < 0) return errno;
    if (key_of(status) != node.lower_key) return ESTALE;  // the name leads to a different file now
    for (const Link &link : links)
        if (const int error = copy_up(*link.parent); error != 0) return error;
    StagedCopy made;
    const std::string origin = std::to_string(node.shown_inode) + " " + lower_name(node, nullptr);
    int error = layers.stage_copy(source, from_dir, from_name, status, size, origin, made);
    if (error != 0) return error;
    copy = std::move(made.file);
    const bool several = status.st_nlink > 1 && mark_hard_link(node, links, made.entry, status);
    table.add_upper_key(&node, made.key);
    if (error = give_names(node, links, made.entry, several); error != 0) {
        table.drop_upper_key(&node);
        layers.discard(made.entry);
        return error;
    }
    if (several) hard_links.add(node.shown_inode, made.key.inode);
    node.indexed = several;
    if (several && !links.empty()) (void)leave_index(node);
    if (links.empty() && !several) error = keep_made(node, made, std::move(copy));  // a process may have it open
    if (error != 0) table.drop_upper_key(&node);
    return error;
}

// The last step of a copy-up: moves the copy from the work directory to its names.
int Union::give_names(Node &node, const std::vector<Link> &links, const std::string &entry, bool several) {
    FdRef target;
    if (!several && links.empty()) return 0;
    if (!several) {
        for (size_t i = 1; i < links.size(); ++i) {  // the index can't hold this hard link, so link its known names
            if (upper_dir(*links[i].parent, target) != 0) continue;
            const PreservedTimes preserved(*links[i].parent, target);
            (void)::linkat(layers.work->get(), entry.c_str(), target->get(), links[i].name.c_str(), 0);
        }
        if (const int error = upper_dir(*links.front().parent, target); error != 0) return error;
        const PreservedTimes preserved(*links.front().parent, target);
        return ::renameat(layers.work->get(), entry.c_str(), target->get(), links.front().name.c_str()) < 0 ? errno : 0;
    }
    // Once the copy is in the index, all its names lead to it. Its known names are also linked in the upper, because overlayfs
    // sees only those.
    const int index = layers.links->get();
    const std::string indexed = HardLinks::name_of(node.shown_inode);
    if (::renameat(layers.work->get(), entry.c_str(), index, indexed.c_str()) < 0) return errno;
    for (const Link &link : links) {
        int error = upper_dir(*link.parent, target);
        if (error == 0) {
            const PreservedTimes preserved(*link.parent, target);
            if (::linkat(index, indexed.c_str(), target->get(), link.name.c_str(), 0) < 0) error = errno;
        }
        if (error == 0 || &link != &links.front()) continue;
        (void)::unlinkat(index, indexed.c_str(), 0);  // otherwise it looks like an interrupted copy-up
        return error;
    }
    return 0;
}

}  // namespace unionfs
