// Copy-up: the object is made whole in the work folder and moved into the upper in one step, so that a crash leaves the
// lower's or the copy, and never a part. Whoever wants the same object waits at its lock; nobody else does.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "unionfs/tree/preserved_times.h"
#include "unionfs/tree/union.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

int copy_attributes(int from_dir, const char *from, int to_dir, const char *to, const struct stat &status,
                    const std::string &mark, struct stat &made) {
    const bool empty = *to == '\0';
    const int flags = empty ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    if (::fstatat(to_dir, to, &made, flags) < 0) return errno;
    const bool other_owner = made.st_uid != status.st_uid || made.st_gid != status.st_gid;
    mode_t mode = status.st_mode & 07777;
    if (other_owner && ::fchownat(to_dir, to, status.st_uid, status.st_gid, flags) < 0) {
        if (errno != EPERM) return errno;
        if (!S_ISDIR(status.st_mode)) mode &= 01777;  // set-ID is the owner's word, and the copy is another's
    }
    std::vector<std::string> attributes;
    if (const int error = xattr_names(from_dir, from, attributes); error != 0) return error;
    for (const std::string &attribute : attributes) {
        if (attribute.starts_with(mark)) continue;
        std::string value;
        int error = xattr_value(from_dir, from, attribute, value);
        if (is_no_attribute(error)) continue;
        if (error != 0) return error;
        error = -set_xattr(to_dir, to, attribute.c_str(), value.data(), value.size());
        // An attribute that the upper can't hold is lost, as with overlayfs; a full disk is an error.
        if (error != 0 && error != EOPNOTSUPP && error != EPERM && error != EINVAL) return error;
    }
    if (!S_ISLNK(status.st_mode) && (other_owner || made.st_mode != status.st_mode)) {
        const int error = empty ? ::fchmod(to_dir, mode) : ::fchmodat(to_dir, to, mode, 0);
        if (error < 0) return errno;
    }
    const timespec times[2] = {status.st_atim, status.st_mtim};
    if ((empty ? ::futimens(to_dir, times) : ::utimensat(to_dir, to, times, AT_SYMLINK_NOFOLLOW)) < 0) return errno;
    return 0;
}

int Union::copy_up(Node &node, off_t size, Told told) {
    if (node.upper) return 0;
    if (!upper) return EROFS;
    if (!options.copy_on_write && !node.is_dir()) return EROFS;
    if (node.is_dir())
        if (const int error = copy_up_above(node); error != 0) return error;
    const std::lock_guard lock(node.mutex);
    if (node.upper) return 0;
    if (const int error = copy_up_locked(node, size); error != 0) return error;
    if (!node.is_dir() && told == Told::by_us) changed_by_us(node);
    return 0;
}

// The folders above, from the top: one within the other's copy-up would cost stack for each.
int Union::copy_up_above(Node &folder) {
    std::vector<Node *> lacking;
    for (Node *at = &folder;;) {
        const std::vector<Link> links = table.links(at);
        if (links.empty()) break;
        at = links.front().parent;
        if (at->upper) break;
        lacking.push_back(at);
    }
    for (; !lacking.empty(); lacking.pop_back())
        if (const int error = copy_up(*lacking.back()); error != 0) return error;
    return 0;
}

int Union::copy_up_locked(Node &node, off_t size) {
    base::Fd copy;
    const int error = node.is_dir() ? copy_up_folder(node) : copy_up_file(node, size, copy);
    if (error != 0) return error;
    table.add_key(&node, node.upper_key);
    cache.drop(node.slot);  // of the lower
    node.slot_writable = copy.valid();
    if (copy) (void)cache.put(node.slot, std::move(copy));
    node.upper = true;
    return 0;
}

int Union::copy_up_folder(Node &node) {
    const std::vector<Link> links = table.links(&node);
    if (links.empty()) return ENOENT;
    const Link &link = links.front();
    FdRef target;
    if (const int error = copy_up(*link.parent); error != 0) return error;
    if (const int error = upper_dir(*link.parent, target); error != 0) return error;
    Where from;
    struct stat status{};
    if (const int error = where(node, from); error != 0) return error;
    if (::fstat(from.fd(), &status) < 0) return errno;
    const std::string entry = work_name();
    if (::mkdirat(work->get(), entry.c_str(), status.st_mode & 0777) < 0) return errno;
    struct stat made{};
    int error = copy_attributes(from.fd(), ".", work->get(), entry.c_str(), status, mark, made);
    if (error == 0) {
        const UnseenChange unseen(*link.parent, target);
        if (::renameat(work->get(), entry.c_str(), target->get(), link.name.c_str()) < 0) error = errno;
    }
    if (error != 0) {
        discard(entry);
        return error;
    }
    if (struct stat copy{}; ::fstatat(target->get(), link.name.c_str(), &copy, AT_SYMLINK_NOFOLLOW) == 0)
        show_instead(node, status, copy);
    node.upper_key = {made.st_dev, made.st_ino};
    return 0;
}

int Union::copy_up_file(Node &node, off_t size, base::Fd &copy) {
    const std::vector<Link> links = table.links(&node);
    Where from;
    struct stat status{};
    base::Fd source;
    if (const int error = where(node, from); error != 0) return error;
    if (node.is_file()) {
        source.reset(::openat(from.fd(), from.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!source) return errno;
        if (const int error = check_has_data(source.get()); error != 0) return error;
    }
    // By descriptors, where there are any: each name that is not looked up saves more than half of its call.
    const int from_dir = source ? source.get() : from.fd();
    const char *from_name = source ? "" : from.name.c_str();
    if (::fstatat(from_dir, from_name, &status, source ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW) < 0) return errno;
    if (key_of(status) != node.lower_key) return ESTALE;  // the name leads to something else by now
    for (const Link &link : links)
        if (const int error = copy_up(*link.parent); error != 0) return error;

    const std::string entry = work_name();
    int error = 0;
    if (source) {
        copy.reset(::openat(work->get(), entry.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0777));
        if (!copy) return errno;
        const bool has_holes = status.st_blocks < (status.st_size + 511) / 512;
        error = copy_data(source.get(), copy.get(), size < 0 ? status.st_size : std::min(size, status.st_size), has_holes);
    } else if (S_ISLNK(status.st_mode)) {
        std::string target(PATH_MAX, '\0');
        const ssize_t n = ::readlinkat(from_dir, from_name, target.data(), target.size());
        if (n < 0) return errno;
        target.resize(static_cast<size_t>(n));
        if (::symlinkat(target.c_str(), work->get(), entry.c_str()) < 0) return errno;
    } else if (::mknodat(work->get(), entry.c_str(), status.st_mode & (S_IFMT | 0600), status.st_rdev) < 0) {
        return errno;
    }
    struct stat made{};
    const int to_dir = copy ? copy.get() : work->get();
    const char *to_name = copy ? "" : entry.c_str();
    if (error == 0) error = copy_attributes(from_dir, from_name, to_dir, to_name, status, mark, made);
    if (error == 0) {
        const std::string number = std::to_string(node.shown_inode);
        // user.* goes on files only; without it the number changes at the next mount, no more.
        (void)set_xattr(to_dir, to_name, (mark + "unionfs.ino").c_str(), number.data(), number.size());
    }
    // A power cut must not leave a name in the upper whose data never reached the disk: overlayfs waits for it too.
    if (error == 0 && copy && !options.is_volatile && ::fsync(copy.get()) < 0) error = errno;
    if (error == 0 && links.empty() && !copy) copy.reset(::openat(work->get(), entry.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    const bool several = error == 0 && status.st_nlink > 1 && mark_hard_link(node, links, entry, status);
    if (error == 0) error = give_names(node, links, entry, several);
    if (error != 0) {
        discard(entry);
        return error;
    }
    node.upper_key = {made.st_dev, made.st_ino};
    if (several) hard_links.add(node.shown_inode, made.st_ino);
    node.indexed = several;
    if (several && !links.empty()) (void)leave_index(node);
    if (links.empty()) node.keep_orphan(std::make_shared<const base::Fd>(std::move(copy)));  // for whoever has it open
    return 0;
}

// The last step of a copy-up: from the work folder to where it is seen.
int Union::give_names(Node &node, const std::vector<Link> &links, const std::string &entry, bool several) {
    FdRef target;
    if (!several && links.empty()) return ::unlinkat(work->get(), entry.c_str(), 0) < 0 ? errno : 0;
    if (!several) {
        for (size_t i = 1; i < links.size(); ++i) {  // of a hard link that the index can't hold: what is known of it stays one
            if (upper_dir(*links[i].parent, target) != 0) continue;
            const UnseenChange unseen(*links[i].parent, target);
            (void)::linkat(work->get(), entry.c_str(), target->get(), links[i].name.c_str(), 0);
        }
        if (const int error = upper_dir(*links.front().parent, target); error != 0) return error;
        const UnseenChange unseen(*links.front().parent, target);
        return ::renameat(work->get(), entry.c_str(), target->get(), links.front().name.c_str()) < 0 ? errno : 0;
    }
    // Once it is in the index, all names lead to it; those that are known are for overlayfs, which knows only the upper's.
    const int index = hard_links.folder->get();
    const std::string indexed = HardLinks::name_of(node.shown_inode);
    if (::renameat(work->get(), entry.c_str(), index, indexed.c_str()) < 0) return errno;
    for (const Link &link : links) {
        int error = upper_dir(*link.parent, target);
        if (error == 0) {
            const UnseenChange unseen(*link.parent, target);
            if (::linkat(index, indexed.c_str(), target->get(), link.name.c_str(), 0) < 0) error = errno;
        }
        if (error == 0 || &link != &links.front()) continue;
        (void)::unlinkat(index, indexed.c_str(), 0);  // else the next mount takes it for one that was cut short
        return error;
    }
    return 0;
}

}  // namespace unionfs
